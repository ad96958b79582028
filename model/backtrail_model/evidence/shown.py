"""The code that a prompt shows: the functions that the failure came from, not the file."""

from __future__ import annotations

from pathlib import Path

from backtrail_model.evidence.material import Material

MOST_FUNCTIONS = 2
MOST_LINES = 120


def code_of(material: Material) -> str:
    """The functions nearest the failure that are no tests, in the order of their place; may be empty."""
    return "\n\n".join(_lines(material, path, first, last) for path, first, last in spans_of(material))


def spans_of(material: Material) -> list[tuple[Path, int, int]]:
    """The same as (file, first line, last line)."""
    spans: dict[tuple[Path, int, int], None] = {}
    room = MOST_LINES
    for path, first, last, line in _functions(material):
        if (path, first, last) in spans or len(spans) == MOST_FUNCTIONS:
            continue
        if last - first >= room:
            if spans:
                continue
            first, last = max(first, line - room // 2), min(last, line + room // 2)  # noqa: PLW2901
        spans[(path, first, last)] = None
        room -= last - first + 1
    return sorted(spans)


def _functions(material: Material) -> list[tuple[Path, int, int, int]]:
    """(file, first line, last line, line of the step) of each step's function, nearest first."""
    found = []
    for step in material.slice.steps:
        path = material.history.path(step.hit)
        statement = material.history.statement(step.hit)
        if statement is not None and not material.tests.holds(path, statement.function):
            inside = [s for s in material.history.statements(path) if s.function == statement.function]
            first = statement.function_line if statement.function != "<module>" else inside[0].line
            found.append((path, first, max(s.last_line for s in inside), step.hit.line))
    return found


def _lines(material: Material, path: Path, first: int, last: int) -> str:
    lines = material.history.text(path).splitlines()[first - 1 : last]
    return "\n".join(["```python", f"# {path.name}, lines {first}-{last}", *lines, "```"])
