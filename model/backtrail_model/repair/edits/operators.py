"""Neighbours of comparisons, arithmetic, and conditions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from backtrail_model.repair.edits.edit import Edit, between, in_brackets, replace, shifted
from backtrail_model.repair.edits.tables import BINARY, COMMUTES, COMPARE, COMPARE_TOKENS
from backtrail_model.repair.source import Source

_LEAST = 0.25


def compare(source: Source, node: ast.Compare) -> Iterator[Edit]:
    operands = [node.left, *node.comparators]
    for (left, right), op in zip(pairwise(operands), node.ops, strict=True):
        token = COMPARE_TOKENS[type(op)]
        for rank, other in enumerate(COMPARE[token]):
            yield from between(source, left, right, token, other, weight=max(_LEAST, 1.0 - 0.2 * rank))
        if isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            yield from shifted(source, right, 0.35)
            yield from shifted(source, left, 0.2)
    yield replace(source, node, f"not ({source.slice(node)})", "negated", 0.4)
    if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
        first, second = (in_brackets(source, operand) for operand in operands)
        swapped = f"{second} {COMPARE_TOKENS[type(node.ops[0])]} {first}"
        yield replace(source, node, swapped, "operands swapped", 0.5)


def binary(source: Source, node: ast.BinOp) -> Iterator[Edit]:
    token, others = BINARY.get(type(node.op), ("", ()))
    for rank, other in enumerate(others):
        yield from between(source, node.left, node.right, token, other, weight=max(_LEAST, 0.9 - 0.2 * rank))
    left, right = source.slice(node.left), source.slice(node.right)
    yield replace(source, node, left, "only the left operand", 0.5)
    yield replace(source, node, right, "only the right operand", 0.4)
    if not isinstance(node.op, COMMUTES) and token:
        swapped = f"{in_brackets(source, node.right)} {token} {in_brackets(source, node.left)}"
        yield replace(source, node, swapped, "operands swapped", 0.6)
    elif isinstance(node.op, ast.Add):
        # Strings and lists do not commute.
        yield replace(source, node, f"{right} + {left}", "operands swapped", 0.3)
    if isinstance(node.op, ast.Sub):
        yield replace(source, node, f"abs({source.slice(node)})", "its size only", 0.45)
    if isinstance(node.op, ast.Add | ast.Mult):  # a mean, a middle, an area: half of it is often meant
        for halved in ("/ 2", "// 2"):
            yield replace(source, node, f"({source.slice(node)}) {halved}", f"half of it ({halved})", 0.3)
    yield from _regrouped(source, node, token)
    yield from _shortened(source, node)


def _shortened(source: Source, node: ast.BinOp) -> Iterator[Edit]:
    """a + b for a + b + c + d: more than one operand was too many."""
    inner, kept = node.left, node.left
    while isinstance(inner, ast.BinOp) and type(inner.op) is type(node.op):
        if inner is not kept:
            yield replace(source, node, source.slice(inner), "only the first operands", 0.3)
        inner = inner.left


def _regrouped(source: Source, node: ast.BinOp, token: str) -> Iterator[Edit]:
    """(a + b) * c for a + b * c, and the like."""
    if isinstance(node.right, ast.BinOp) and token:
        inner = BINARY.get(type(node.right.op), ("", ()))[0]
        first, second, third = (source.slice(n) for n in (node.left, node.right.left, node.right.right))
        if inner:
            yield replace(source, node, f"({first} {token} {second}) {inner} {third}", "regrouped", 0.4)
    if isinstance(node.left, ast.BinOp) and token:
        inner = BINARY.get(type(node.left.op), ("", ()))[0]
        first, second, third = (source.slice(n) for n in (node.left.left, node.left.right, node.right))
        if inner:
            yield replace(source, node, f"{first} {inner} ({second} {token} {third})", "regrouped", 0.4)


def boolean(source: Source, node: ast.BoolOp) -> Iterator[Edit]:
    token, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    for left, right in pairwise(node.values):
        yield from between(source, left, right, token, other, weight=0.9)
    for dropped in node.values:
        kept = [source.slice(value) for value in node.values if value is not dropped]
        yield replace(source, node, f" {token} ".join(kept), f"without {source.slice(dropped)}", 0.5)
        if not isinstance(dropped, ast.Compare):
            yield replace(source, dropped, f"not {in_brackets(source, dropped)}", "negated", 0.4)


def augmented(source: Source, node: ast.AugAssign) -> Iterator[Edit]:
    token, others = BINARY.get(type(node.op), ("", ()))
    for rank, other in enumerate(others):
        weight = max(_LEAST, 0.8 - 0.15 * rank)
        yield from between(source, node.target, node.value, f"{token}=", f"{other}=", weight=weight)
    if token:
        yield from between(source, node.target, node.value, f"{token}=", "=", weight=0.6)
    yield from shifted(source, node.value, 0.3)


def unary(source: Source, node: ast.UnaryOp) -> Iterator[Edit]:
    if isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield replace(source, node, source.slice(node.operand), "without its sign or not", 0.6)


def conditional(source: Source, node: ast.IfExp) -> Iterator[Edit]:
    body, test, other = (source.slice(part) for part in (node.body, node.test, node.orelse))
    yield replace(source, node, f"{other} if {test} else {body}", "branches swapped", 0.6)
    yield replace(source, node, body, "always the first branch", 0.2)
    yield replace(source, node, other, "always the second branch", 0.2)
    if not isinstance(node.test, ast.Compare):
        yield replace(source, node.test, f"not {in_brackets(source, node.test)}", "negated", 0.3)


def comprehension(source: Source, node: ast.comprehension) -> Iterator[Edit]:
    for test in node.ifs:
        if not isinstance(test, ast.Compare):
            yield replace(source, test, f"not {in_brackets(source, test)}", "negated", 0.5)
        yield replace(source, test, "True", "without the condition", 0.25)
