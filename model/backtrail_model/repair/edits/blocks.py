"""Neighbours in the layout: a statement in or out of its block, two in the wrong order, one missing."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from backtrail_model.repair.edits.edit import Edit
from backtrail_model.repair.edits.scope import Scope
from backtrail_model.repair.source import Source
from backtrail_model.repair.suspects import Suspect
from backtrail_tracer.statements import FUNCTIONS, LOOPS


def block_edits(source: Source, suspect: Suspect, scope: Scope) -> Iterator[Edit]:
    statement = suspect.statement
    if source.text[source.line_start(statement.line) : suspect.start].strip():
        return  # it shares its line with another one
    body, owner = _body_of(source, statement.node)
    if owner is None:
        return
    place = next(i for i, each in enumerate(body) if _same(each, statement.node))
    if isinstance(statement.node, ast.If):
        yield from _other_counted(source, suspect, statement.node)
    if not statement.is_header:
        yield from _moved_out(source, suspect, body, owner, place)
        yield from _moved_in(source, suspect, body, place)
        yield from _swapped(source, suspect, body, place)
    if place == len(body) - 1 and isinstance(owner, FUNCTIONS):
        yield from _return_added(source, suspect, scope)
    if place == 0 and isinstance(owner, FUNCTIONS):
        yield from _guarded(source, suspect, owner, scope)


def _body_of(source: Source, node: ast.stmt) -> tuple[list[ast.stmt], ast.AST | None]:
    """The list of statements that this one stands in, without a docstring, and what it belongs to."""
    body, owner = source.bodies.get((node.lineno, node.col_offset), ([], None))
    if body and isinstance(owner, FUNCTIONS):
        first = body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            return body[1:], owner
    return body, owner


def _same(one: ast.AST, other: ast.stmt) -> bool:
    return isinstance(one, ast.stmt) and (one.lineno, one.col_offset) == (other.lineno, other.col_offset)


def _moved_out(
    source: Source, suspect: Suspect, body: list[ast.stmt], owner: ast.AST, place: int
) -> Iterator[Edit]:
    """The last statement of a block, moved out of it: a return inside its loop is a classic."""
    if place == len(body) - 1 and place > 0 and isinstance(owner, (ast.If, *LOOPS)):
        outer = source.indentation(owner.lineno)
        start = source.line_start(suspect.statement.line)
        if "\n" not in source.text[suspect.start : suspect.end]:
            yield Edit(start, suspect.start, outer, "moved out of its block", 0.7)


def _moved_in(source: Source, suspect: Suspect, body: list[ast.stmt], place: int) -> Iterator[Edit]:
    """The statement after a block, moved to its end."""
    before = body[place - 1] if place else None
    if isinstance(before, (ast.If, *LOOPS)) and "\n" not in source.text[suspect.start : suspect.end]:
        last = (before.orelse or before.body)[-1]
        inner = source.indentation(last.lineno)
        start = source.line_start(suspect.statement.line)
        yield Edit(start, suspect.start, inner, "moved into the block before it", 0.3)


def _swapped(source: Source, suspect: Suspect, body: list[ast.stmt], place: int) -> Iterator[Edit]:
    after = body[place + 1] if place + 1 < len(body) else None
    simple = ast.Assign | ast.AugAssign | ast.Expr | ast.AnnAssign
    if isinstance(after, simple) and isinstance(suspect.statement.node, simple):
        start, end = source.span(after)
        between = source.text[suspect.end : start]
        text = source.text[start:end] + between + source.text[suspect.start : suspect.end]
        yield Edit(suspect.start, end, text, "after the next one", 0.3)


def _return_added(source: Source, suspect: Suspect, scope: Scope) -> Iterator[Edit]:
    """A function that ends without a return gives None, whatever it has worked out."""
    node = suspect.statement.node
    if isinstance(node, ast.Return | ast.Raise):
        return
    end = source.line_start((node.end_lineno or node.lineno) + 1)
    newline = "" if source.text[:end].endswith("\n") else "\n"
    indent = source.indentation(suspect.statement.line)
    for name in [*scope.variables, "True", "False"]:
        weight = 0.35 if name in scope.variables else 0.15
        yield Edit(end, end, f"{newline}{indent}return {name}\n", f"return {name} added", weight)


def _guarded(
    source: Source, suspect: Suspect, owner: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope
) -> Iterator[Edit]:
    """What is expected of an empty argument, said at the beginning."""
    if not scope.expected:
        return
    start = source.line_start(suspect.statement.line)
    indent = source.indentation(suspect.statement.line)
    for argument in owner.args.args:
        if argument.arg in scope.variables and argument.arg not in ("self", "cls"):
            text = f"{indent}if not {argument.arg}:\n{indent}    return {scope.expected}\n"
            yield Edit(start, start, text, f"{scope.expected} when {argument.arg} is empty", 0.3)


def _other_counted(source: Source, suspect: Suspect, node: ast.If) -> Iterator[Edit]:
    """Else the same is done to a variable that was made ready for it and never touched again."""
    done = node.body[0]
    if node.orelse or len(node.body) > 1 or (name := _grown(done)) is None:
        return
    function = source.function_at(node.lineno)
    end = source.line_start((done.end_lineno or done.lineno) + 1)
    newline = "" if source.text[:end].endswith("\n") else "\n"
    outer, inner = source.indentation(node.lineno), source.indentation(done.lineno)
    if function is None or done.lineno == node.lineno:
        return
    for other in _idle(function):
        text = f"{newline}{outer}else:\n{inner}{other}{source.slice(done)[len(name) :]}\n"
        yield Edit(end, end, text, f"else {other}", 0.6)


def _grown(node: ast.stmt) -> str | None:
    """The variable that a statement adds to: `n += 1`, `found.append(x)`."""
    match node:
        case ast.AugAssign(target=ast.Name(id=name)):
            return name
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
            return name
    return None


def _idle(function: ast.AST) -> Iterator[str]:
    """Variables that are set once, to a constant or something empty, then read, and never added to."""
    nodes = list(ast.walk(function))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    stores = Counter(node.id for node in names if not isinstance(node.ctx, ast.Load))
    read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    grown = {_grown(node) for node in nodes if isinstance(node, ast.stmt)}
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if _is_ready(value) and stores[name] == 1 and name in read and name not in grown:
                    yield name


def _is_ready(value: ast.expr) -> bool:
    """Whether a variable that is set to this is there to be added to."""
    match value:
        case ast.Constant() | ast.List(elts=[]) | ast.Dict(keys=[]):
            return True
        case ast.Call(func=ast.Name(), args=[], keywords=[]):
            return True
    return False
