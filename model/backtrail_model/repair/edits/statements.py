"""Neighbours of whole statements: what is assigned and how, what is returned, where a loop goes on."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from backtrail_model.repair.edits.edit import Edit, in_brackets, replace, shifted
from backtrail_model.repair.edits.scope import Scope
from backtrail_model.repair.source import Source
from backtrail_model.repair.suspects import Suspect


def statement_edits(source: Source, suspect: Suspect, scope: Scope) -> Iterator[Edit]:
    node, start, end = suspect.statement.node, suspect.start, suspect.end
    match node:
        case ast.If(test=test) | ast.While(test=test):
            yield replace(source, test, f"not ({source.slice(test)})", "condition negated", 0.6)
            yield from _keyword(source, suspect)
        case ast.For(iter=over):
            yield from _iterated(source, over)
        case ast.Break():
            yield Edit(start, end, "continue", "break → continue", 0.5)
        case ast.Continue():
            yield Edit(start, end, "break", "continue → break", 0.5)
        case ast.Return(value=ast.expr() as value):
            yield from _returned(source, value)
        case ast.Expr(value=value):
            yield Edit(start, end, f"return {source.slice(value)}", "its value returned", 0.4)
            yield from _kept(source, suspect, value)
        case ast.Assign(targets=[target], value=value):
            yield from _assigned(source, suspect, target, value, scope)
        case ast.AugAssign():
            yield from _added(source, suspect, node)
    if isinstance(node, ast.Expr | ast.Assign | ast.AugAssign | ast.Break | ast.Continue | ast.Return):
        yield Edit(start, end, "pass", "left out", 0.2 if isinstance(node, ast.Return) else 0.3)


def _keyword(source: Source, suspect: Suspect) -> Iterator[Edit]:
    for word, other in (("if", "while"), ("while", "if"), ("elif", "if")):
        if source.text.startswith(f"{word} ", suspect.start):
            yield Edit(suspect.start, suspect.start + len(word), other, f"{word} → {other}", 0.3)


def _iterated(source: Source, over: ast.expr) -> Iterator[Edit]:
    text = in_brackets(source, over)
    if isinstance(over, ast.Name | ast.Attribute | ast.Subscript):
        for other, note in ((f"{text}[1:]", "from the second on"), (f"{text}[:-1]", "without the last")):
            yield replace(source, over, other, note, 0.25)
    for other in (f"reversed({text})", f"sorted({text})", f"list({text})"):
        yield replace(source, over, other, other.partition("(")[0], 0.15)


_WRAPPED = (
    "sorted({})",
    "{}[::-1]",
    "list({})",
    "abs({})",
    "-{}",
    "len({})",
    "int({})",
    "str({})",
    "tuple({})",
    "sum({})",
    "bool({})",
    "round({}, 2)",
    "{}.strip()",
    "set({})",
)


def _returned(source: Source, value: ast.expr) -> Iterator[Edit]:
    if isinstance(value, ast.Compare | ast.BoolOp | ast.Name | ast.Call):
        yield replace(source, value, f"not ({source.slice(value)})", "negated", 0.4)
    if isinstance(value, ast.Name | ast.Call | ast.BinOp):
        yield from shifted(source, value, 0.4)
    if isinstance(value, ast.Name | ast.Call | ast.ListComp | ast.Subscript | ast.BinOp):
        text = in_brackets(source, value)
        for form in _WRAPPED:
            other = form.format(text)
            yield replace(source, value, other, f"return {other}", 0.12)


_GIVES_NEW = {"strip", "lower", "upper", "replace", "union", "copy", "title", "lstrip", "rstrip", "format"}


def _kept(source: Source, suspect: Suspect, value: ast.expr) -> Iterator[Edit]:
    """`x = x.strip()` for `x.strip()`, whose result is lost; `x = sorted(x)` for `sorted(x)`."""
    match value:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) if attr in _GIVES_NEW:
            pass
        case ast.Call(func=ast.Name(id="sorted" | "list" | "set" | "reversed"), args=[ast.Name(id=name), *_]):
            pass
        case _:
            return
    yield Edit(suspect.start, suspect.end, f"{name} = {source.slice(value)}", "its value kept", 0.7)


def _assigned(
    source: Source, suspect: Suspect, target: ast.expr, value: ast.expr, scope: Scope
) -> Iterator[Edit]:
    """What is there already was forgotten: added to, or compared with."""
    if not isinstance(target, ast.Name | ast.Subscript | ast.Attribute):
        return
    left, right = source.slice(target), source.slice(value)
    likely = 0.45 if scope.in_loop else 0.25
    if not isinstance(target, ast.Name) or target.id not in _names(value):
        for operator, less in (("+=", 0.0), ("-=", 0.15), ("*=", 0.15)):
            text = f"{left} {operator} "
            yield Edit(suspect.start, source.span(value)[0], text, f"= → {operator}", likely - less)
        for function in ("max", "min"):
            text = f"{left} = {function}({left}, {right})"
            yield Edit(suspect.start, suspect.end, text, f"the {function} so far", likely - 0.15)
    if isinstance(target, ast.Subscript):
        known = _known(source, target)
        yield Edit(suspect.start, suspect.end, f"{left} = {known} + {right}", "added to what is there", 0.5)
        text = f"{source.slice(target.value)}.setdefault({source.slice(target.slice)}, []).append({right})"
        yield Edit(suspect.start, suspect.end, text, "collected", 0.25)
    if isinstance(value, ast.Name | ast.Attribute | ast.Subscript):
        for copied in (f"list({right})", f"{right}.copy()"):
            yield replace(source, value, copied, "a copy", 0.15)
    yield from shifted(source, value, 0.25)


def _added(source: Source, suspect: Suspect, node: ast.AugAssign) -> Iterator[Edit]:
    """`x[k] += v` where there is no x[k] yet."""
    if isinstance(node.target, ast.Subscript) and isinstance(node.op, ast.Add):
        left, right = source.slice(node.target), source.slice(node.value)
        text = f"{left} = {_known(source, node.target)} + {right}"
        yield Edit(suspect.start, suspect.end, text, "0 where there is none", 0.4)


def _known(source: Source, target: ast.Subscript) -> str:
    return f"{source.slice(target.value)}.get({source.slice(target.slice)}, 0)"


def _names(value: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
