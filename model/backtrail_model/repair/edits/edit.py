"""One edit, and the few ways of making one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from attrs import frozen

from backtrail_model.repair.source import Placed, Source

_NEEDS_NO_BRACKETS = (ast.Name, ast.Call, ast.Attribute, ast.Subscript, ast.Constant, ast.List, ast.Tuple)


@frozen
class Edit:
    """`text[start:end]` becomes `replacement`. `weight`: how often such a change is right, roughly."""

    start: int
    end: int
    replacement: str
    note: str
    weight: float


def replace(source: Source, node: Placed, text: str, note: str, weight: float) -> Edit:
    start, end = source.span(node)
    return Edit(start, end, text, note, weight)


def between(
    source: Source, left: Placed, right: Placed, token: str, other: str, *, weight: float
) -> Iterator[Edit]:
    """The operator between two operands. What else stands there are brackets, blanks and comments."""
    begin, end = source.span(left)[1], source.span(right)[0]
    pattern = r"\s+".join(map(re.escape, token.split()))
    found = re.search(rf"(?<!\w){pattern}(?!\w)" if token[0].isalpha() else pattern, source.text[begin:end])
    if found:
        yield Edit(begin + found.start(), begin + found.end(), other, f"{token} → {other}", weight)


def in_brackets(source: Source, node: ast.expr) -> str:
    """The text of an expression that may stand beside any operator."""
    text = source.slice(node)
    return text if isinstance(node, _NEEDS_NO_BRACKETS) else f"({text})"


def shifted(source: Source, node: ast.expr, weight: float) -> Iterator[Edit]:
    """One more, one less; constants have their own edits."""
    if isinstance(node, ast.Constant | ast.Starred | ast.Slice):
        return
    text = source.slice(node) if isinstance(node, ast.BinOp) else in_brackets(source, node)
    for sign in ("+", "-"):
        yield replace(source, node, f"{text} {sign} 1", f"{sign}1", weight)
