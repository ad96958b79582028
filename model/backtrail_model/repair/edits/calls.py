"""Neighbours of calls and subscripts: arguments, bounds, and what a call has too much or too little."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from backtrail_model.repair.edits.edit import Edit, replace, shifted
from backtrail_model.repair.edits.scope import Scope
from backtrail_model.repair.source import Source


def call(source: Source, node: ast.Call, scope: Scope) -> Iterator[Edit]:
    for left, right in pairwise(node.args):
        start, end = source.span(left)[0], source.span(right)[1]
        between = source.text[source.span(left)[1] : source.span(right)[0]]
        yield Edit(start, end, source.slice(right) + between + source.slice(left), "arguments swapped", 0.5)
    function = node.func.id if isinstance(node.func, ast.Name) else ""
    if function == "range":
        yield from _range(source, node)
    elif len(node.args) == 1 and not node.keywords and function:
        yield replace(source, node, source.slice(node.args[0]), f"without {function}(…)", 0.35)
    yield from _more(source, node, function)
    yield from _less(source, node)
    yield from _recursive(source, node, function, scope)
    if isinstance(node.func, ast.Attribute) and not node.args and not node.keywords:
        yield replace(source, node, source.slice(node.func.value), f"without .{node.func.attr}()", 0.3)
    if function == "len":
        yield from shifted(source, node, 0.3)


def _range(source: Source, node: ast.Call) -> Iterator[Edit]:
    for rank, argument in enumerate(reversed(node.args[:2])):
        yield from shifted(source, argument, 0.7 - 0.2 * rank)
    if len(node.args) == 1:
        stop = source.slice(node.args[0])
        yield replace(source, node, f"range(1, {stop})", "starts from 1", 0.4)
        yield replace(source, node, f"range(1, {stop} + 1)", "from 1 to the end", 0.4)
    elif len(node.args) == 2:
        start, stop = map(source.slice, node.args)
        yield replace(source, node, f"range({start}, {stop}, -1)", "downwards", 0.2)
        yield replace(source, node, f"range({stop})", "from 0", 0.3)


_EXTRA = {
    "sorted": ("reverse=True", 0.4),
    "sort": ("reverse=True", 0.4),
    "enumerate": ("1", 0.4),
    "max": ("default=0", 0.2),
    "min": ("default=0", 0.2),
    "get": ("0", 0.4),
    "pop": ("0", 0.5),
    "split": ("' '", 0.2),
    "round": ("2", 0.2),
    "sum": ("1", 0.1),
    "zip": ("strict=True", 0.1),
}


def _more(source: Source, node: ast.Call, function: str) -> Iterator[Edit]:
    """An argument that is often forgotten."""
    method = node.func.attr if isinstance(node.func, ast.Attribute) else function
    text, weight = _EXTRA.get(method, ("", 0.0))
    named = text.split("=")[0] if "=" in text else ""
    if not text or any(keyword.arg in (named, None) for keyword in node.keywords) or len(node.args) > 1:
        return
    end = source.span(node)[1] - 1
    if source.text[end] == ")" and not source.text[:end].rstrip().endswith(","):
        comma = ", " if node.args or node.keywords else ""
        yield Edit(end, end, f"{comma}{text}", f"with {text}", weight)


def _less(source: Source, node: ast.Call) -> Iterator[Edit]:
    """Without its last argument, or one of the named ones."""
    arguments: list[ast.expr | ast.keyword] = [*node.args, *(each for each in node.keywords if each.arg)]
    if not arguments or len(arguments) != len(node.args) + len(node.keywords):
        return
    for number, argument in enumerate(arguments):
        if number < len(arguments) - 1 and isinstance(argument, ast.expr):
            continue
        start = source.span(arguments[number - 1])[1] if number else source.span(argument)[0]
        yield Edit(start, source.span(argument)[1], "", f"without {source.slice(argument)}", 0.25)


def _recursive(source: Source, node: ast.Call, function: str, scope: Scope) -> Iterator[Edit]:
    """A function that calls itself with what it got never ends."""
    if function != scope.function:
        return
    for argument in node.args:
        yield from shifted(source, argument, 0.4)
        if isinstance(argument, ast.Name):
            yield replace(source, argument, f"{argument.id}[1:]", "the rest", 0.2)


def subscript(source: Source, node: ast.Subscript) -> Iterator[Edit]:
    index, whole = node.slice, source.slice(node.value)
    if not isinstance(index, ast.Slice):
        yield from shifted(source, index, 0.5)
        yield from _indices(source, node)
        return
    lower, upper = (source.slice(part) if part else "" for part in (index.lower, index.upper))
    for bound in (index.lower, index.upper):
        if bound is not None:
            yield from shifted(source, bound, 0.5)
    step = f":{source.slice(index.step)}" if index.step else ""
    if lower and upper:
        yield replace(source, node, f"{whole}[{lower}:{step}]", "to the end", 0.4)
        yield replace(source, node, f"{whole}[:{upper}{step}]", "from the beginning", 0.4)
    elif lower or upper:
        yield replace(source, node, f"{whole}[{upper}:{lower}{step}]", "the other part", 0.5)
    if not lower:
        yield replace(source, node, f"{whole}[1:{upper}{step}]", "without the first", 0.2)
    if not upper:
        yield replace(source, node, f"{whole}[{lower}:-1{step}]", "without the last", 0.2)
    yield replace(source, node, whole, "all of it", 0.3)
    if not step:
        yield replace(source, node, f"{source.slice(node)}[::-1]", "reversed", 0.2)


def _indices(source: Source, node: ast.Subscript) -> Iterator[Edit]:
    """x[j][i] for x[i][j]; the whole for one of it."""
    if isinstance(node.value, ast.Subscript) and not isinstance(node.value.slice, ast.Slice):
        base = source.slice(node.value.value)
        first, second = source.slice(node.value.slice), source.slice(node.slice)
        yield replace(source, node, f"{base}[{second}][{first}]", "indices swapped", 0.4)
    if isinstance(node.ctx, ast.Load):
        yield replace(source, node, source.slice(node.value), "all of it", 0.15)
        if isinstance(node.slice, ast.Name | ast.Constant) and not isinstance(
            getattr(node.slice, "value", None), str
        ):
            text = f"{source.slice(node.value)}[-{source.slice(node.slice)}]"
            yield replace(source, node, text, "from the end", 0.15)
        else:
            text = f"{source.slice(node.value)}.get({source.slice(node.slice)}, 0)"
            yield replace(source, node, text, "0 where there is none", 0.15)
