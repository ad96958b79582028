"""The lines that a model was shown, with what they hold and whether they ran: to hold its claims against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen

from backtrail_model.evidence.facts import Fact, source_line
from backtrail_model.evidence.material import Material
from backtrail_model.evidence.shown import spans_of
from backtrail_tracer.trace import FailureFrame


@frozen
class Line:
    """`text` is the statement on the line, or the line itself where it holds none, such as a comment.

    `ran` is about the failing test and the import of the file. None: that is not known, since the line holds
    no statement or since not everything was recorded.
    """

    text: str
    written: str  # as it stands in the file, of all lines of the statement
    ran: bool | None


def lines_of(
    material: Material, facts: Iterable[Fact], places: Iterable[FailureFrame]
) -> Mapping[int, tuple[Line, ...]]:
    """By line number; several where more than one file was shown."""
    wanted: dict[tuple[Path, int], None] = {}
    for path, first, last in spans_of(material):
        wanted.update(dict.fromkeys((path, line) for line in range(first, last + 1)))
    wanted.update(dict.fromkeys((fact.path, fact.line) for fact in facts))
    wanted.update(dict.fromkeys((place.path, place.line) for place in places))
    table: dict[int, tuple[Line, ...]] = {}
    for path, number in wanted:
        table[number] = (*table.get(number, ()), _line(material, path, number))
    return table


def _line(material: Material, path: Path, number: int) -> Line:
    history = material.history
    text = history.text(path).splitlines()
    statement = history.statements(path).at(number)
    if statement is None:
        plain = text[number - 1].strip() if number <= len(text) else ""
        return Line(plain, plain, None)
    span = range(statement.line, statement.end_line + 1)
    return Line(source_line(statement), "\n".join(text[span[0] - 1 : span[-1]]), _ran(material, path, span))


def _ran(material: Material, path: Path, span: range) -> bool | None:
    trace = material.history.trace
    hits = (hit for number in span for hit in trace.lines(path).get(number, ()))
    if any(trace.frames[hit.frame].item in (material.failure.item, None) for hit in hits):
        return True
    unsure = trace.limits or any(cap.path == path and cap.line == 0 for cap in trace.caps)
    return None if unsure else False
