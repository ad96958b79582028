"""Small textual edits that turn a statement into a near neighbour, without a model."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from attrs import frozen

from backtrail_model.repair.source import Placed, Source
from backtrail_model.repair.suspects import Suspect
from backtrail_tracer.statements import LOOPS, header_parts


@frozen
class Edit:
    """`text[start:end]` becomes `replacement`. `weight`: how often such a change is right, roughly."""

    start: int
    end: int
    replacement: str
    note: str
    weight: float


COMPARE: Mapping[str, Sequence[str]] = {
    "<": ("<=", ">", ">=", "!="),
    "<=": ("<", ">=", ">"),
    ">": (">=", "<", "<="),
    ">=": (">", "<=", "<"),
    "==": ("!=", "<=", ">=", "in"),
    "!=": ("==", "<", ">"),
    "in": ("not in", "=="),
    "not in": ("in",),
    "is": ("is not", "=="),
    "is not": ("is", "!="),
}
BINARY: Mapping[type[ast.operator], tuple[str, Sequence[str]]] = {
    ast.Add: ("+", ("-", "*")),
    ast.Sub: ("-", ("+",)),
    ast.Mult: ("*", ("+", "/", "**", "//")),
    ast.Div: ("/", ("//", "*")),
    ast.FloorDiv: ("//", ("/", "%", "*")),
    ast.Mod: ("%", ("//", "/")),
    ast.Pow: ("**", ("*",)),
    ast.BitAnd: ("&", ("|", "^")),
    ast.BitOr: ("|", ("&", "^")),
    ast.BitXor: ("^", ("&", "|")),
    ast.LShift: ("<<", (">>",)),
    ast.RShift: (">>", ("<<",)),
}
PAIRS = (
    ("min", "max"),
    ("any", "all"),
    ("append", "extend"),
    ("lower", "upper"),
    ("islower", "isupper"),
    ("startswith", "endswith"),
    ("lstrip", "rstrip"),
    ("find", "rfind"),
    ("index", "find"),
    ("keys", "values"),
    ("values", "items"),
    ("floor", "ceil"),
    ("ceil", "round"),
    ("add", "update"),
    ("popleft", "pop"),
    ("union", "intersection"),
    ("str", "int"),
    ("int", "float"),
    ("list", "sorted"),
    ("set", "list"),
    ("isdigit", "isalpha"),
    ("isalpha", "isalnum"),
    ("abs", "int"),
)
NEIGHBOURS: Mapping[str, tuple[str, ...]] = {
    name: tuple(b if a == name else a for a, b in PAIRS if name in (a, b))
    for name in {n for p in PAIRS for n in p}
}
COMMUTES = (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor)
MOST_VARIABLES = 4


def edits(source: Source, suspect: Suspect, variables: Mapping[str, str]) -> Iterator[Edit]:
    """The neighbours of a statement. `variables` maps the names in scope to the type recorded for each."""
    node = suspect.statement.node
    yield from _statement_edits(source, suspect)
    for part in header_parts(node):
        for inner in ast.walk(part):
            yield from _node_edits(source, inner, variables)


def _node_edits(source: Source, node: ast.AST, variables: Mapping[str, str]) -> Iterator[Edit]:
    match node:
        case ast.Compare():
            yield from _compare(source, node)
        case ast.BinOp():
            yield from _binary(source, node)
        case ast.BoolOp():
            yield from _boolean(source, node)
        case ast.AugAssign():
            yield from _augmented(source, node)
        case ast.Constant():
            yield from _constant(source, node)
        case ast.Name(ctx=ast.Load()):
            yield from _name(source, node, variables)
        case ast.Attribute(attr=attr) if attr in NEIGHBOURS:
            end = source.span(node)[1]
            for other in NEIGHBOURS[attr]:
                yield Edit(end - len(attr), end, other, f"{attr} → {other}", 0.5)
        case ast.Call():
            yield from _call(source, node)
        case ast.Subscript():
            yield from _subscript(source, node)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield _replace(source, node, source.slice(node.operand), "without its sign or not", 0.6)
        case ast.IfExp():
            yield from _conditional(source, node)


def _replace(source: Source, node: Placed, text: str, note: str, weight: float) -> Edit:
    start, end = source.span(node)
    return Edit(start, end, text, note, weight)


def _between(
    source: Source, left: Placed, right: Placed, token: str, other: str, *, weight: float
) -> Iterator[Edit]:
    """The operator between two operands. What else stands there are brackets, blanks and comments."""
    begin, end = source.span(left)[1], source.span(right)[0]
    pattern = r"\s+".join(map(re.escape, token.split()))
    found = re.search(rf"(?<!\w){pattern}(?!\w)" if token[0].isalpha() else pattern, source.text[begin:end])
    if found:
        yield Edit(begin + found.start(), begin + found.end(), other, f"{token} → {other}", weight)


_COMPARE_TOKENS: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}


def _compare(source: Source, node: ast.Compare) -> Iterator[Edit]:
    operands = [node.left, *node.comparators]
    for (left, right), op in zip(pairwise(operands), node.ops, strict=True):
        token = _COMPARE_TOKENS[type(op)]
        for rank, other in enumerate(COMPARE[token]):
            yield from _between(source, left, right, token, other, weight=1.0 - 0.2 * rank)
        if isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            yield from _shifted(source, right, 0.35)
    yield _replace(source, node, f"not ({source.slice(node)})", "negated", 0.4)


def _binary(source: Source, node: ast.BinOp) -> Iterator[Edit]:
    token, others = BINARY.get(type(node.op), ("", ()))
    for rank, other in enumerate(others):
        yield from _between(source, node.left, node.right, token, other, weight=0.9 - 0.2 * rank)
    left, right = source.slice(node.left), source.slice(node.right)
    yield _replace(source, node, left, "only the left operand", 0.5)
    yield _replace(source, node, right, "only the right operand", 0.4)
    if not isinstance(node.op, COMMUTES) and token:
        yield _replace(source, node, f"{right} {token} {left}", "operands swapped", 0.6)


def _boolean(source: Source, node: ast.BoolOp) -> Iterator[Edit]:
    token, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    for left, right in pairwise(node.values):
        yield from _between(source, left, right, token, other, weight=0.9)
    for dropped in node.values:
        kept = [source.slice(value) for value in node.values if value is not dropped]
        yield _replace(source, node, f" {token} ".join(kept), f"without {source.slice(dropped)}", 0.5)


def _augmented(source: Source, node: ast.AugAssign) -> Iterator[Edit]:
    token, others = BINARY.get(type(node.op), ("", ()))
    for other in others[:2]:
        yield from _between(source, node.target, node.value, f"{token}=", f"{other}=", weight=0.8)
    if token:
        yield from _between(source, node.target, node.value, f"{token}=", "=", weight=0.6)


def _constant(source: Source, node: ast.Constant) -> Iterator[Edit]:
    value = node.value
    if isinstance(value, bool):
        yield _replace(source, node, str(not value), f"{value} → {not value}", 0.9)
    elif isinstance(value, int):
        near = [value + 1, value - 1, -value] if value else [1, -1]
        for rank, other in enumerate(near):
            text = str(other) if other >= 0 else f"({other})"
            yield _replace(source, node, text, f"{value} → {other}", 0.6 - 0.1 * rank)
    elif value is None:
        yield _replace(source, node, "[]", "None → []", 0.2)
    elif value == "":
        yield _replace(source, node, "' '", "'' → ' '", 0.3)
    elif isinstance(value, str) and value == " ":
        yield _replace(source, node, "''", "' ' → ''", 0.3)


def _name(source: Source, node: ast.Name, variables: Mapping[str, str]) -> Iterator[Edit]:
    """Another variable of the same recorded type; a function of the same family."""
    for other in NEIGHBOURS.get(node.id, ()):
        yield _replace(source, node, other, f"{node.id} → {other}", 0.5)
    kind = variables.get(node.id)
    if kind is not None:
        same = [name for name, other in variables.items() if other == kind and name != node.id]
        for name in same[:MOST_VARIABLES]:
            yield _replace(source, node, name, f"{node.id} → {name}", 0.5)


def _call(source: Source, node: ast.Call) -> Iterator[Edit]:
    for left, right in pairwise(node.args):
        start, end = source.span(left)[0], source.span(right)[1]
        between = source.text[source.span(left)[1] : source.span(right)[0]]
        text = source.slice(right) + between + source.slice(left)
        yield Edit(start, end, text, "arguments swapped", 0.5)
    if isinstance(node.func, ast.Name) and node.func.id == "range":
        for rank, argument in enumerate(reversed(node.args[:2])):
            yield from _shifted(source, argument, 0.7 - 0.2 * rank)
        if len(node.args) == 1:
            yield _replace(source, node, f"range(1, {source.slice(node.args[0])})", "starts from 1", 0.4)
            yield _replace(
                source, node, f"range(1, {source.slice(node.args[0])} + 1)", "from 1 to the end", 0.4
            )
    elif len(node.args) == 1 and not node.keywords and isinstance(node.func, ast.Name):
        yield _replace(source, node, source.slice(node.args[0]), f"without {node.func.id}(…)", 0.35)


def _shifted(source: Source, node: ast.expr, weight: float) -> Iterator[Edit]:
    """One more, one less; constants have their own edits."""
    if isinstance(node, ast.Constant):
        return
    text = source.slice(node)
    inner = (
        text
        if isinstance(node, ast.Name | ast.Call | ast.Attribute | ast.Subscript | ast.BinOp)
        else f"({text})"
    )
    for sign in ("+", "-"):
        yield _replace(source, node, f"{inner} {sign} 1", f"{sign}1", weight)


def _subscript(source: Source, node: ast.Subscript) -> Iterator[Edit]:
    index = node.slice
    if not isinstance(index, ast.Slice):
        yield from _shifted(source, index, 0.5)
        return
    for bound in (index.lower, index.upper):
        if bound is not None:
            yield from _shifted(source, bound, 0.5)
    if index.step is None:
        yield _replace(source, node, f"{source.slice(node)}[::-1]", "reversed", 0.2)


def _conditional(source: Source, node: ast.IfExp) -> Iterator[Edit]:
    body, test, other = (source.slice(part) for part in (node.body, node.test, node.orelse))
    yield _replace(source, node, f"{other} if {test} else {body}", "branches swapped", 0.6)


def _statement_edits(source: Source, suspect: Suspect) -> Iterator[Edit]:
    node, start, end = suspect.statement.node, suspect.start, suspect.end
    match node:
        case ast.If(test=test) | ast.While(test=test):
            yield _replace(source, test, f"not ({source.slice(test)})", "condition negated", 0.6)
            yield from _keyword(source, suspect, ("if", "while"))
        case ast.Break():
            yield Edit(start, end, "continue", "break → continue", 0.5)
            yield Edit(start, end, "pass", "without break", 0.5)
        case ast.Continue():
            yield Edit(start, end, "break", "continue → break", 0.5)
            yield Edit(start, end, "pass", "without continue", 0.5)
        case ast.Return(value=ast.expr() as value):
            yield from _returned(source, value)
        case ast.Expr(value=value):
            yield Edit(start, end, f"return {source.slice(value)}", "its value returned", 0.4)
            yield Edit(start, end, "pass", "left out", 0.3)
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if name not in _names(value):
            for token in ("+=", "-="):
                yield Edit(start, source.span(value)[0], f"{name} {token} ", f"= → {token}", 0.4)
        case ast.AugAssign():
            yield Edit(start, end, "pass", "left out", 0.3)
    yield from _moved(source, suspect)


def _keyword(source: Source, suspect: Suspect, words: tuple[str, str]) -> Iterator[Edit]:
    for word, other in (words, words[::-1]):
        if source.text.startswith(word, suspect.start):
            yield Edit(suspect.start, suspect.start + len(word), other, f"{word} → {other}", 0.3)


def _returned(source: Source, value: ast.expr) -> Iterator[Edit]:
    if isinstance(value, ast.Compare | ast.BoolOp | ast.Name | ast.Call):
        yield _replace(source, value, f"not ({source.slice(value)})", "negated", 0.4)
    if isinstance(value, ast.Name | ast.Call | ast.BinOp):
        yield from _shifted(source, value, 0.4)


def _names(value: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}


def _moved(source: Source, suspect: Suspect) -> Iterator[Edit]:
    """The last statement of a block, moved out of it: a return inside its loop is a classic."""
    statement = suspect.statement
    parent = source.statements.header_at(statement.parent) if statement.parent else None
    if parent is None or statement.is_header or not isinstance(parent.node, (ast.If, *LOOPS)):
        return
    body = parent.node.body
    if len(body) < 2 or (body[-1] is not statement.node and not _same(body[-1], statement.node)):
        return
    line_start = source.line_start(statement.line)
    if source.text[line_start : suspect.start].strip():
        return
    outer = source.indentation(parent.line)
    yield Edit(line_start, suspect.start, outer, "moved out of its block", 0.7)


def _same(one: ast.stmt, other: ast.stmt) -> bool:
    return (one.lineno, one.col_offset) == (other.lineno, other.col_offset)
