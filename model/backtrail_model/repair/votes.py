"""Who is for which program: the answers of models, and blind edits, counted by what the programs do.

Samples for one prompt are no independent opinions, so the second and further ones count less and less
(the square root of their number); a blind edit is hardly an opinion at all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from attrs import define, field

from backtrail_model.repair.behaviour import Behaviour
from backtrail_model.repair.candidates import Candidate

BLIND = 0.25
MOST_BLIND = 0.5


@define
class Votes:
    """Candidates are known by their keys. Without a behaviour that was seen, only the same program agrees."""

    _said: dict[str, Counter[str]] = field(factory=dict)  # key -> prompt -> answers
    _blind: set[str] = field(factory=set)
    _seen: dict[str, Behaviour] = field(factory=dict)

    def add(self, candidate: Candidate, *, by_model: bool) -> bool:
        """Counts a proposal; true when nobody has proposed this program before."""
        is_new = candidate.key not in self._said
        said = self._said.setdefault(candidate.key, Counter())
        if by_model:
            # An answer without a known prompt is an opinion of its own.
            asked = (
                candidate.prompted.text
                if candidate.prompted
                else f"{candidate.proposer} {sum(said.values())}"
            )
            said[asked] += 1
        else:
            self._blind.add(candidate.key)
        return is_new

    def observed(self, key: str, behaviour: Behaviour) -> None:
        self._seen[key] = behaviour

    def count(self, key: str) -> int:
        """Answers of models that were this very program."""
        return sum(self._said[key].values())

    def examples(self, key: str) -> int:
        return self._seen[key].examples if key in self._seen else 0

    def same(self, one: str, other: str) -> bool:
        """Whether two programs did the same wherever they were watched."""
        if one == other:
            return True
        seen = self._seen.get(one), self._seen.get(other)
        return None not in seen and bool(seen[0] and seen[0].outcomes) and seen[0] == seen[1]

    def support(self, key: str, passed: Iterable[str]) -> tuple[float, int]:
        """How much speaks for what this program does, among those that passed; and how many different prompts
        led to programs that do the same."""
        alike = [other for other in passed if self.same(key, other)]
        asked = self._asked(alike)
        blind = BLIND * sum(other in self._blind for other in alike)
        return sum(map(math.sqrt, asked.values())) + min(MOST_BLIND, blind), len(asked)

    def _asked(self, keys: Iterable[str]) -> Counter[str]:
        """Prompts -> answers that were one of these programs."""
        asked: Counter[str] = Counter()
        for key in keys:
            asked.update(self._said[key])
        return asked
