"""A failing run beside the last good one, in markdown: where they first part, with the values of both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from backtrail_server import words

if TYPE_CHECKING:
    from backtrail_tracer.divergence import Comparison, Variable
    from backtrail_tracer.trace import Trace, Value

_MOST_VARIABLES = 20
_VALUE_CHARS = 120


def markdown(comparison: Comparison | None, good: Trace, failing: Trace, root: Path) -> str:
    """The whole answer; `comparison` is None when the record shows no difference."""
    head = f"The good run is from {words.clock(good)}, the failing one from {words.clock(failing)}."
    if comparison is None:
        return f"{head}\n\nThe record shows no difference on the way to the failure."
    first = comparison.first
    place = f"{words.relative(first.path, root)}:{first.line} in {first.function}"
    where = f"They first differ at {words.inline(place)}" + (f" ({first.test})" if first.test else "")
    parts = [head, f"{where}: {first.words}."]
    line = _line(failing, first.path, first.line)
    parts += [words.code(line)] if line else []
    parts += [_table(comparison.variables)] if comparison.variables else []
    return "\n\n".join(parts)


def _line(trace: Trace, path: Path, number: int) -> str:
    lines = trace.sources.get(path, "").splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def _table(variables: tuple[Variable, ...]) -> str:
    """What differs comes first."""
    ordered = sorted(variables, key=lambda each: not each.differs)
    rows = ["| | good run | this run | |", "|---|---|---|---|"]
    for each in ordered[:_MOST_VARIABLES]:
        mark = "differs" if each.differs else ""
        rows.append(f"| {words.inline(each.name)} | {_cell(each.was)} | {_cell(each.now)} | {mark} |")
    if len(ordered) > _MOST_VARIABLES:
        rows.append(f"| and {len(ordered) - _MOST_VARIABLES} more | | | |")
    return "\n".join(rows)


def _cell(value: Value | None) -> str:
    """A bar would end the cell, even in code."""
    if value is None:
        return "not recorded"
    return words.inline(words.cut(value.text, _VALUE_CHARS)).replace("|", "\\|")
