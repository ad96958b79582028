"""Which facts come first when there is room for a few."""

from __future__ import annotations

from collections.abc import Iterable

from backtrail_model.evidence.facts import Fact

REPEATED = 0.75
"""Added to the distance of a fact for each fact of the same line that is nearer."""


def ranked(facts: Iterable[Fact]) -> list[Fact]:
    """By distance, the later of two alike first; a line's further facts wait until others had their turn."""
    seen: dict[tuple[str, int], int] = {}
    keyed: list[tuple[float, int, Fact]] = []
    for fact in sorted(facts, key=lambda one: (one.distance, -one.order)):
        place = (str(fact.path), fact.line)
        seen[place] = seen.get(place, -1) + 1
        keyed.append((fact.distance + REPEATED * seen[place], -fact.order, fact))
    return [fact for _, _, fact in sorted(keyed, key=lambda one: one[:2])]
