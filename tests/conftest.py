"""How hypothesis searches: the same examples on every run, so that a change is what makes a test fail;
`make test-all` looks further, at random."""

from __future__ import annotations

from hypothesis import settings

# A loaded machine is no failure, so no example has a deadline.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=400)
settings.load_profile("steady")
