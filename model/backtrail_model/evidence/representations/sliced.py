"""`slice`: the facts that the failure came from, nearest first into the budget, shown in execution order."""

from __future__ import annotations

import ast

from backtrail_model.evidence.facts import Fact, fact_of
from backtrail_model.evidence.folding import fold
from backtrail_model.evidence.material import Material, Rendering
from backtrail_model.evidence.ranking import ranked
from backtrail_model.evidence.tokens import estimate
from backtrail_tracer.statements import FUNCTIONS

DULL_STATEMENTS = (ast.Import, ast.ImportFrom, ast.ClassDef, *FUNCTIONS)
IN_A_TEST = 1.0
"""Added to the distance of a fact in a test: the reader sees the test's source anyway."""


def render(material: Material) -> Rendering:
    facts, folded = fold(_facts(material))
    chosen: list[Fact] = []
    room = material.budget
    for fact in ranked(facts):
        cost = estimate(str(fact)) + 1
        if cost > room:
            folded.append(fact)
            continue
        room -= cost
        chosen.append(fact)
    chosen.sort(key=lambda fact: fact.order)
    return Rendering("\n".join(map(str, chosen)), tuple(chosen), tuple(folded))


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
