"""Neighbours of constants, names and attributes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from backtrail_model.repair.edits.edit import Edit, replace
from backtrail_model.repair.edits.scope import Scope
from backtrail_model.repair.edits.tables import NEIGHBOURS
from backtrail_model.repair.source import Source

MOST_VARIABLES = 5
MOST_CONSTANTS = 4


def constant(source: Source, node: ast.Constant, scope: Scope) -> Iterator[Edit]:
    value = node.value
    if isinstance(value, bool):
        yield replace(source, node, str(not value), f"{value} → {not value}", 0.9)
        yield replace(source, node, "None", f"{value} → None", 0.1)
    elif isinstance(value, int):
        yield from _number(source, node, value)
    elif isinstance(value, float):
        for near in (value + 1, value - 1, value * 2, value / 2):
            yield replace(source, node, repr(near), f"{value} → {near}", 0.2)
    elif value is None:
        for text, weight in (("[]", 0.2), ("0", 0.2), ("False", 0.2), ("True", 0.15), ("''", 0.1)):
            yield replace(source, node, text, f"None → {text}", weight)
    elif value in ("", " "):
        other = "' '" if value == "" else "''"
        yield replace(source, node, other, f"{value!r} → {other}", 0.3)
    elif isinstance(value, str):
        yield from _cased(source, node, value)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        same = [text for text in scope.constants if type(ast.literal_eval(text)) is type(value)]
        for text in [text for text in same if text != repr(value)][:MOST_CONSTANTS]:
            yield replace(source, node, text, f"{value!r} → {text}", 0.35)


def _cased(source: Source, node: ast.Constant, value: str) -> Iterator[Edit]:
    """The same word in other letters. In an f-string a constant has no quotes of its own."""
    if not value.isidentifier() or source.slice(node)[-1:] not in ("'", '"'):
        return
    for other in dict.fromkeys((value.capitalize(), value.lower(), value.upper())):
        if other != value:
            yield replace(source, node, repr(other), f"{value!r} → {other!r}", 0.25)


def _number(source: Source, node: ast.Constant, value: int) -> Iterator[Edit]:
    near = [value + 1, value - 1, -value, 0] if value else [1, -1]
    for rank, other in enumerate(dict.fromkeys(near)):
        text = str(other) if other >= 0 else f"({other})"
        yield replace(source, node, text, f"{value} → {other}", 0.6 - 0.1 * rank)


def name(source: Source, node: ast.Name, scope: Scope) -> Iterator[Edit]:
    """Another variable of the same recorded type; a function of the same family."""
    for other in NEIGHBOURS.get(node.id, ()):
        yield replace(source, node, other, f"{node.id} → {other}", 0.5)
    kind = scope.variables.get(node.id)
    if kind is not None:
        for other in scope.like(node.id)[:MOST_VARIABLES]:
            same = scope.variables[other] == kind
            yield replace(source, node, other, f"{node.id} → {other}", 0.5 if same else 0.12)
    else:
        for other in scope.functions_like(node.id)[:MOST_VARIABLES]:
            yield replace(source, node, other, f"{node.id} → {other}", 0.2)


def attribute(source: Source, node: ast.Attribute, scope: Scope) -> Iterator[Edit]:
    """A method of the same family; another attribute that the file uses of the same object."""
    end = source.span(node)[1]
    start = end - len(node.attr)
    if source.text[start:end] != node.attr:
        return
    for other in NEIGHBOURS.get(node.attr, ()):
        yield Edit(start, end, other, f"{node.attr} → {other}", 0.5)
    if isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name):
        for other in scope.attributes.get(node.value.id, ())[: MOST_VARIABLES + 1]:
            if other != node.attr:
                yield Edit(start, end, other, f"{node.attr} → {other}", 0.25)


def pair(source: Source, node: ast.Tuple) -> Iterator[Edit]:
    if len(node.elts) == 2:
        first, second = (source.slice(element) for element in node.elts)
        left, right = source.span(node.elts[0])[0], source.span(node.elts[1])[1]
        yield Edit(left, right, f"{second}, {first}", "the two swapped", 0.4)
