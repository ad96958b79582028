"""Holes to fill: a short prompt around one statement, and what a sample for it means as an edit."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from attrs import frozen

from backtrail_model.repair.candidates import Original
from backtrail_model.repair.suspects import Suspect
from backtrail_tracer.statements import header_parts

LONGEST_FUNCTION = 80
"""Lines around a hole. Of a longer function only the lines around the hole are shown."""


@frozen
class Hole:
    """`text[start:end]` of the original is missing; the model sees `prefix` and `suffix`."""

    original: Original
    suspect: Suspect
    start: int
    end: int
    prefix: str
    suffix: str
    one_line: bool
    note: str

    def fillings(self, sample: str) -> Iterator[str]:
        """What a sample may mean, most likely first: cut at the line's end, or where it parses."""
        text = sample.rstrip()
        if self.one_line:
            first = text.lstrip("\n").split("\n", 1)[0].rstrip()
            yield from [first] if first else []
            # What stands after the hole is sometimes written once more.
            rest = self.suffix.split("\n", 1)[0].rstrip()
            if rest.strip() and first.endswith(rest) and first != rest:
                yield first[: -len(rest)]
            return
        lines = text.split("\n")
        for count in range(len(lines), 0, -1):
            filling = "\n".join(lines[:count]).rstrip()
            if filling and self._parses(filling):
                yield filling
                return

    def _parses(self, filling: str) -> bool:
        text = self.original.text
        try:
            ast.parse(text[: self.start] + filling + text[self.end :])
        except (SyntaxError, ValueError):
            return False
        return True


def replacing(original: Original, suspect: Suspect, hint: str = "") -> Hole:
    """The statement (or header) itself is missing."""
    before, after = _around(original, suspect)
    text = original.text
    return Hole(
        original,
        suspect,
        suspect.start,
        suspect.end,
        preamble(original, suspect.line, hint) + text[before : suspect.start],
        text[suspect.end : after],
        "\n" not in text[suspect.start : suspect.end],
        f"line {suspect.line}",
    )


def inserting(original: Original, suspect: Suspect, hint: str = "") -> Hole:
    """A statement is missing before this one, at the same indentation."""
    before, after = _around(original, suspect)
    text, indent = original.text, original.source.indentation(suspect.line)
    line_start = original.source.line_start(suspect.line)
    return Hole(
        original,
        suspect,
        line_start,
        line_start,
        preamble(original, suspect.line, hint) + text[before:line_start] + indent,
        "\n" + text[line_start:after],
        True,
        f"before line {suspect.line}",
    )


MOST_EXPRESSIONS = 3
LONG = 24


def masking(original: Original, suspect: Suspect, start: int, end: int) -> Hole:
    """A part of the statement is missing."""
    before, after = _around(original, suspect)
    text = original.text
    head = preamble(original, suspect.line) + text[before:start]
    note = f"line {suspect.line}, {text[start:end]}"
    return Hole(original, suspect, start, end, head, text[end:after], True, note)


def expressions(original: Original, suspect: Suspect) -> list[tuple[int, int]]:
    """Where the parts of a longer statement stand, larger ones first."""
    if suspect.end - suspect.start < LONG or "\n" in original.text[suspect.start : suspect.end]:
        return []
    nodes = (inner for part in header_parts(suspect.statement.node) for inner in ast.walk(part))
    spans = {
        original.source.span(node) for node in nodes if isinstance(node, ast.expr) and _may_be_hole(node)
    }
    inside = [span for span in spans if suspect.start < span[0] and span[1] - span[0] >= 3]
    return sorted(inside, key=lambda span: (span[0] - span[1], span))[:MOST_EXPRESSIONS]


def _may_be_hole(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr | ast.FormattedValue):
        return False  # before Python 3.12 what is in an f-string has no usable position
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def _around(original: Original, suspect: Suspect) -> tuple[int, int]:
    """Offsets of the shown part: the innermost function, or the lines near the hole when that is long."""
    source = original.source
    first, last = source.function_lines(suspect.line)
    if last - first > LONGEST_FUNCTION:
        first = max(first, suspect.line - LONGEST_FUNCTION // 2)
        last = min(last, suspect.line + LONGEST_FUNCTION // 2)
    return source.line_start(first), source.line_start(last + 1)


def preamble(original: Original, line: int, hint: str = "") -> str:
    """Imports, the module's constants, and the signatures of the file's functions that this one calls."""
    first, last = original.source.function_lines(line)
    called = _called(original, first, last)
    parts = []
    for node in original.source.tree.body:
        if first <= node.lineno <= last:
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            parts.append(ast.unparse(node))
        elif isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id in called for t in node.targets
        ):
            parts.append(ast.unparse(node)[:200])
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in called:
            parts.append(_signature(node))
    around = [hint] if hint else []
    return "\n".join([*parts, *around]) + "\n\n" if parts or around else ""


def _called(original: Original, first: int, last: int) -> set[str]:
    inside = (node for node in ast.walk(original.source.tree) if first <= getattr(node, "lineno", 0) <= last)
    return {node.id for node in inside if isinstance(node, ast.Name)}


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The head of a function, with the first line of its docstring."""
    head = ast.unparse(node).split("\n")
    line = next(one for one in head if one.startswith(("def ", "async def ")))
    said = (ast.get_docstring(node) or "").strip().split("\n")[0]
    return f'{line}\n    """{said}"""\n    ...' if said else f"{line} ..."
