"""`next`: the source with the values as comments, after NExT (Ni et al. 2024, arXiv 2404.14662).

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
    by_line: dict[tuple[Path, int], list[Hit]] = {}
    for hit in material.ran():
        by_line.setdefault((material.history.path(hit), hit.line), []).append(hit)
    lines: list[str] = []
    shown: list[Fact] = []
    omitted: list[Fact] = []
    room = material.budget
    for path, first, last in _functions(material):
        for number, code in enumerate(material.history.text(path).splitlines()[first - 1 : last], first):
            hits = by_line.get((path, number), [])
            each = [fact_of(material.history, hit, material.prefix(path), 0.0, False) for hit in hits]
            comment = _comment(each)
            fits = estimate(comment) <= room
            some = _some(each) if fits else []
            shown += some
            omitted += [fact for fact in each if fact not in some]
            comment = comment if fits else ""
            room -= estimate(comment)
            lines.append(code.rstrip() + comment)
    return Rendering("\n".join(lines), tuple(shown), tuple(omitted))


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


def _some(facts: list[Fact]) -> list[Fact]:
    return facts if len(facts) <= 3 else [facts[0], facts[1], facts[-1]]


def _comment(facts: list[Fact]) -> str:
    """The counter is that of the line's hits, so that the last one tells how often it ran."""
    numbered = list(enumerate(facts))
    if len(numbered) > 3:
        numbered = [*numbered[:2], numbered[-1]]
    said = [f"({index}) {fact.effect}" for index, fact in numbered if fact.effect]
    if not said:
        return ""
    if len(facts) > 3:
        said.insert(len(said) - 1, "…")
    return "  # " + "; ".join(said)
