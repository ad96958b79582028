"""`slice`: the facts that the failure came from, nearest first into the budget, shown in execution order."""

from __future__ import annotations

import ast

from backtrail_model.evidence.facts import Fact, fact_of, fold
from backtrail_model.evidence.material import Material, Rendering
from backtrail_model.evidence.tokens import estimate
from backtrail_tracer.statements import FUNCTIONS

DULL_STATEMENTS = (ast.Import, ast.ImportFrom, ast.ClassDef, *FUNCTIONS)
IN_A_TEST = 1.0
"""Added to the distance of a fact in a test: the reader sees the test's source anyway."""
REPEATED = 0.75
"""Added for each fact of the same line that was chosen before."""


def render(material: Material) -> Rendering:
    facts, folded = fold(_facts(material))
    chosen, room, dropped = [], material.budget, 0
    for fact in _ranked(facts):
        cost = estimate(str(fact)) + 1
        if cost > room:
            dropped += 1
            continue
        room -= cost
        chosen.append(fact)
    chosen.sort(key=lambda fact: fact.order)
    return Rendering("\n".join(map(str, chosen)), tuple(chosen), folded + dropped)


def _facts(material: Material) -> list[Fact]:
    """One fact for each step but the failing line itself, which the outcome shows already."""
    found: dict[str, Fact] = {}
    for step in material.slice.steps:
        path = material.history.path(step.hit)
        statement = material.history.statement(step.hit)
        if statement is None or isinstance(statement.node, DULL_STATEMENTS):
            continue
        in_test = material.tests.holds(path, statement.function)
        if in_test and (step.why == "criterion" or isinstance(statement.node, ast.Assert)):
            continue
        distance = step.distance + (IN_A_TEST if in_test else 0.0)
        fact = fact_of(material.history, step.hit, material.prefix(path), distance, step.uncertain)
        found.setdefault(fact.id, fact)
    return list(found.values())


def _ranked(facts: list[Fact]) -> list[Fact]:
    """By distance; a line's later facts wait until other lines had their turn."""
    seen: dict[tuple[str, int], int] = {}
    keyed: list[tuple[float, int, Fact]] = []
    for fact in sorted(facts, key=lambda one: (one.distance, -one.order)):
        place = (str(fact.path), fact.line)
        seen[place] = seen.get(place, -1) + 1
        keyed.append((fact.distance + REPEATED * seen[place], -fact.order, fact))
    return [fact for _, _, fact in sorted(keyed, key=lambda one: one[:2])]
