"""Small textual edits that turn a statement into a near neighbour, without a model."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from backtrail_model.repair.edits.blocks import block_edits
from backtrail_model.repair.edits.calls import call, subscript
from backtrail_model.repair.edits.edit import Edit
from backtrail_model.repair.edits.operators import (
    augmented,
    binary,
    boolean,
    compare,
    comprehension,
    conditional,
    unary,
)
from backtrail_model.repair.edits.scope import Scope
from backtrail_model.repair.edits.statements import statement_edits
from backtrail_model.repair.edits.values import attribute, constant, name, pair
from backtrail_model.repair.source import Source
from backtrail_model.repair.suspects import Suspect
from backtrail_tracer.statements import FUNCTIONS, header_parts

__all__ = ["Edit", "Scope", "edits"]


def edits(source: Source, suspect: Suspect, scope: Scope) -> Iterator[Edit]:
    """The neighbours of a statement, the same one more than once maybe, in no special order."""
    if not isinstance(suspect.statement.node, FUNCTIONS):  # of those only the defaults are suspected
        yield from statement_edits(source, suspect, scope)
        yield from block_edits(source, suspect, scope)
    for part in header_parts(suspect.statement.node):
        for inner in _walk(part):
            yield from _node_edits(source, inner, scope)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Not into f-strings: before Python 3.12 what is in them has no usable position."""
    yield node
    if not isinstance(node, ast.JoinedStr):
        for child in ast.iter_child_nodes(node):
            yield from _walk(child)


def _node_edits(source: Source, node: ast.AST, scope: Scope) -> Iterator[Edit]:
    match node:
        case ast.Constant():
            yield from constant(source, node, scope)
        case ast.Name(ctx=ast.Load()):
            yield from name(source, node, scope)
        case ast.Attribute():
            yield from attribute(source, node, scope)
        case ast.Call():
            yield from call(source, node, scope)
        case ast.Subscript():
            yield from subscript(source, node)
        case ast.Tuple():
            yield from pair(source, node)
        case _:
            yield from _operation(source, node)


def _operation(source: Source, node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Compare():
            yield from compare(source, node)
        case ast.BinOp():
            yield from binary(source, node)
        case ast.BoolOp():
            yield from boolean(source, node)
        case ast.AugAssign():
            yield from augmented(source, node)
        case ast.UnaryOp():
            yield from unary(source, node)
        case ast.IfExp():
            yield from conditional(source, node)
        case ast.comprehension():
            yield from comprehension(source, node)
