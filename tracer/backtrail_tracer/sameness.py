"""Whether two recorded values are of different things, as far as their renderings tell."""

from __future__ import annotations

import re

from backtrail_tracer.trace import Value

# What differs between any two runs and says nothing: addresses, and the names of temporary folders.
_ACCIDENTAL = re.compile(r"\bat 0x[0-9a-fA-F]+|\bpytest-\d+\b|\bbacktrail-\w{8}\b|\btmp\w{8}\b")
_UNORDERED = frozenset({"set", "frozenset"})


def differ(was: Value | None, now: Value | None) -> bool:
    """Whether two recorded values are known to be of different things.

    Rendering is the same for the same value, so that different texts tell, even texts that were cut;
    equal ones tell nothing then. A hidden text never tells.
    """
    if was is None or now is None:
        return False
    if was.type != now.type or was.shape != now.shape:
        return True
    if was.redacted or now.redacted:
        return False
    if was.length is not None and now.length is not None and was.length != now.length:
        return True
    one, other = (_ACCIDENTAL.sub("…", value.text) for value in (was, now))
    if was.type in _UNORDERED:
        return not (was.cut or now.cut) and sorted(one) != sorted(other)
    return one != other
