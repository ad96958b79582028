"""Which expression a place in a text means: what a person points at."""

from __future__ import annotations

import ast
from functools import lru_cache

from backtrail_server.convert import column_of_bytes
from backtrail_tracer.aging import split_lines

_POINTED_AT = (ast.Name, ast.Attribute, ast.Subscript, ast.arg)


@lru_cache(maxsize=16)
def parse(text: str) -> ast.Module | None:
    """The syntax tree, or None when there is none. Kept, because every hover in a file needs it."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def expression_at(text: str, line: int, column: int) -> tuple[str, int, int] | None:
    """The smallest name, attribute or subscript around a place, with its first and last column.

    `line` counts from 1, columns are characters from 0. Goes down only into what holds the place, so
    that a long file costs no more than a short one. None for anything else, and for what spans lines.
    """
    tree, lines = parse(text), split_lines(text)
    if tree is None or line > len(lines):
        return None
    row = lines[line - 1]
    at = (line, len(row[:column].encode("utf-8", "surrogatepass")))
    best: ast.AST | None = None
    node: ast.AST | None = tree
    while node is not None:
        node = next((child for child in ast.iter_child_nodes(node) if _holds(child, at)), None)
        if isinstance(node, _POINTED_AT):
            best = node
    if not isinstance(best, _POINTED_AT) or best.lineno != best.end_lineno:
        return None
    source = best.arg if isinstance(best, ast.arg) else ast.unparse(best)
    first = column_of_bytes(row, best.col_offset)
    last = (
        first + len(best.arg) if isinstance(best, ast.arg) else column_of_bytes(row, best.end_col_offset or 0)
    )
    return source, first, last


def _holds(node: ast.AST, at: tuple[int, int]) -> bool:
    """Whether a node covers a place. What has no position (arguments, operators) may hold what has."""
    line = getattr(node, "lineno", None)
    if line is None:
        return any(_holds(child, at) for child in ast.iter_child_nodes(node))
    decorators = getattr(node, "decorator_list", [])
    start = min([(line, node.col_offset), *((d.lineno, d.col_offset) for d in decorators)])  # type: ignore[attr-defined]
    end = (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
    return bool(start <= at <= end)


def function_lines(text: str, line: int) -> tuple[int, int]:
    """The first and last line of the innermost function around a line, or of the whole text."""
    best = (1, len(split_lines(text)))
    tree = parse(text)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            last = node.end_lineno or first
            if first <= line <= last and last - first < best[1] - best[0]:
                best = (first, last)
    return best
