"""Evidence for a model with little room: fewer facts, the nearest kept. The code is never cut."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from backtrail_model.evidence.evidence import Evidence
from backtrail_model.evidence.facts import Fact
from backtrail_model.evidence.ranking import ranked
from backtrail_model.evidence.tokens import estimate

ROOM = (100, 0)
"""Tokens of facts in the second and the third attempt."""


def steps(evidence: Evidence) -> Iterator[Evidence]:
    """The evidence as it is, then with fewer facts, at last with the outcome alone."""
    yield evidence
    facts = evidence.facts
    for room in ROOM:
        made = within(evidence, room)
        if len(made.facts) < len(facts):
            yield made
            facts = made.facts


def within(evidence: Evidence, room: int) -> Evidence:
    """With facts of at most `room` estimated tokens, chosen as `gather` chooses; the others are `omitted`.

    A representation that does not write its facts one a line is kept whole or left out.
    """
    kept: list[Fact] = []
    if evidence.body == "\n".join(map(str, evidence.facts)):
        for fact in ranked(evidence.facts):
            cost = estimate(str(fact)) + 1
            if cost <= room:
                room -= cost
                kept.append(fact)
    kept.sort(key=lambda fact: fact.order)
    lost = [fact for fact in evidence.facts if fact not in kept]
    return evolve(
        evidence,
        body="\n".join(map(str, kept)),
        facts=tuple(kept),
        omitted=(*lost, *evidence.omitted),
    )
