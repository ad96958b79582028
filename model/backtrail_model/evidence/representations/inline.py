"""`next`: the source with the values as comments, after NExT (Ni et al. 2024).

Each executed line carries the changes of its first two hits and its last, in execution order.
"""

from __future__ import annotations

from pathlib import Path

from backtrail_model.evidence.facts import Fact, fact_of
from backtrail_model.evidence.material import Material, Rendering
from backtrail_model.evidence.tokens import estimate
from backtrail_tracer.trace import Hit


def render(material: Material) -> Rendering:
    """Comments are dropped from the end of the budget on, in order of lines; the code never is."""
    history, failure = material.history, material.failure
    lines: list[str] = []
    facts: list[Fact] = []
    room, left_out = material.budget, 0
    for path, first, last in _functions(material):
        for number, code in enumerate(history.text(path).splitlines()[first - 1 : last], first):
            hits = [
                h for h in history.trace.lines(path).get(number, ()) if _item(material, h) == failure.item
            ]
            shown = [fact_of(history, hit, material.prefix(path), 0.0, False) for hit in _some(hits)]
            comment = _comment(shown, len(hits))
            if estimate(comment) > room:
                comment, left_out = "", left_out + len(hits)
            else:
                facts += shown
            room -= estimate(comment)
            lines.append(code.rstrip() + comment)
    return Rendering("\n".join(lines), tuple(facts), left_out)


def _functions(material: Material) -> list[tuple[Path, int, int]]:
    """(file, first line, last line) of each function in the slice that is not a test's."""
    found: dict[tuple[Path, int], tuple[Path, int, int]] = {}
    for step in material.slice.steps:
        path = material.history.path(step.hit)
        statement = material.history.statement(step.hit)
        if statement is None or statement.function == "<module>":
            continue
        if material.tests.holds(path, statement.function):
            continue
        inside = [s for s in material.history.statements(path) if s.function == statement.function]
        span = (path, statement.function_line, max(s.last_line for s in inside))
        found.setdefault((path, statement.function_line), span)
    return sorted(found.values())


def _item(material: Material, hit: Hit) -> int | None:
    return material.history.trace.frames[hit.frame].item


def _some(hits: list[Hit]) -> list[Hit]:
    return hits if len(hits) <= 3 else [hits[0], hits[1], hits[-1]]


def _comment(facts: list[Fact], total: int) -> str:
    said = [f"({index}) {fact.effect}" for index, fact in enumerate(facts) if fact.effect]
    if not said:
        return ""
    if total > 3:
        said.insert(len(said) - 1, "…")
    return "  # " + "; ".join(said)
