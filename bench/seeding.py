"""Bugs to seed: one statement of a module changed, as a person might get it wrong.

They are made independently of the mutations that the repair search tries: here something is lost, put in a
wrong place or mixed up at the level of the statement's tree, and printed anew.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import field, frozen

_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod)
_COMPOUND = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Try, ast.With)


@frozen
class Bug:
    """`text` is the whole module with the bug; `line` is where it is, `kind` what was done."""

    line: int
    kind: str
    before: str
    after: str
    text: str = field(repr=False)


def bugs(path: Path, seed: int) -> Iterator[Bug]:
    """Bugs of a module in an order that hangs on the seed alone, one for each statement at most."""
    text = path.read_text(encoding="utf-8")
    chance = random.Random(f"{path.name} {seed}")
    places = [node for node in ast.walk(ast.parse(text)) if _may_hold_one(node)]
    inside = [node for node in places if isinstance(node, ast.stmt) and node.col_offset > 0]
    chance.shuffle(inside)
    for node in inside:
        kinds = list(KINDS)
        chance.shuffle(kinds)
        for kind in kinds:
            bug = _bug(text, node, kind, chance)
            if bug is not None:
                yield bug
                break


def _may_hold_one(node: ast.AST) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return isinstance(node, ast.stmt) and not isinstance(node, _COMPOUND) and not docstring


def _bug(text: str, node: ast.stmt, kind: str, chance: random.Random) -> Bug | None:
    """The statement (of a compound one the header) printed anew with one change; None if there is none."""
    changed = copy.deepcopy(node)
    header = isinstance(node, ast.If | ast.While | ast.For)
    if header:
        changed.body = [ast.Pass()]  # type: ignore[attr-defined]
        changed.orelse = []  # type: ignore[attr-defined]
    plain = ast.unparse(changed)
    made = KINDS[kind](changed, chance)
    if made is None:
        return None
    after = ast.unparse(ast.fix_missing_locations(made))
    if after == plain:
        return None
    lines = text.splitlines(keepends=True)
    last = node.body[0].lineno - 1 if header else node.end_lineno  # type: ignore[attr-defined]
    if header and (node.body[0].lineno == node.lineno or lines[node.lineno - 1].lstrip().startswith("elif")):  # type: ignore[attr-defined]
        return None
    indent = " " * node.col_offset
    shown = after.removesuffix("\n    pass") if header else after
    new = "".join(f"{indent}{line}\n" for line in shown.split("\n"))
    whole = "".join([*lines[: node.lineno - 1], new, *lines[last:]])
    try:
        ast.parse(whole)
    except SyntaxError:
        return None
    return Bug(node.lineno, kind, plain.removesuffix("\n    pass"), shown, whole)


def _pick(
    node: ast.AST, kind: type[ast.AST] | tuple[type[ast.AST], ...], chance: random.Random
) -> ast.AST | None:
    own = [each for each in ast.walk(node) if isinstance(each, kind)]
    return chance.choice(own) if own else None


def _other(node: ast.AST, choices: tuple[type, ...], chance: random.Random) -> ast.AST:
    return chance.choice([each for each in choices if not isinstance(node, each)])()  # type: ignore[no-any-return]


def _comparison(node: ast.stmt, chance: random.Random) -> ast.stmt | None:
    found = _pick(node, ast.Compare, chance)
    if not isinstance(found, ast.Compare) or not isinstance(found.ops[0], _COMPARISONS):
        return None
    found.ops[0] = _other(found.ops[0], _COMPARISONS, chance)  # type: ignore[call-overload]
    return node


def _arithmetic(node: ast.stmt, chance: random.Random) -> ast.stmt | None:
    found = _pick(node, (ast.BinOp, ast.AugAssign), chance)
    if not isinstance(found, ast.BinOp | ast.AugAssign) or not isinstance(found.op, _ARITHMETIC):
        return None
    found.op = _other(found.op, _ARITHMETIC, chance)  # type: ignore[assignment]
    return node


def _constant(node: ast.stmt, chance: random.Random) -> ast.stmt | None:
    found = _pick(node, ast.Constant, chance)
    if not isinstance(found, ast.Constant):
        return None
    match found.value:
        case bool():
            found.value = not found.value
        case int() | float():
            found.value += chance.choice([-2, -1, 1, 2])
        case None:
            found.value = 0
        case str() if found.value:
            found.value = found.value[:-1]
        case _:
            return None
    return node


def _negated(node: ast.stmt, chance: random.Random) -> ast.stmt | None:
    if not isinstance(node, ast.If | ast.While):
        return None
    test = node.test
    inner = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    node.test = test.operand if inner else ast.UnaryOp(ast.Not(), test)  # type: ignore[attr-defined]
    return node


def _lost(node: ast.stmt, chance: random.Random) -> ast.stmt | None:
    """The statement is not there at all."""
    return ast.Pass() if isinstance(node, ast.Expr | ast.AugAssign | ast.Continue | ast.Break) else None


def _other_name(node: ast.stmt, chance: random.Random) -> ast.stmt | None:
    names = [each for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)]
    ids = sorted({each.id for each in names})
    if len(ids) < 2:
        return None
    found = chance.choice(names)
    found.id = chance.choice([each for each in ids if each != found.id])
    return node


def _argument(node: ast.stmt, chance: random.Random) -> ast.stmt | None:
    """An argument lost, or two in the wrong order."""
    found = _pick(node, ast.Call, chance)
    if not isinstance(found, ast.Call) or not found.args:
        return None
    if len(found.args) > 1 and chance.random() < 0.5:
        found.args[:2] = found.args[1::-1]
    elif len(found.args) > 1 or found.keywords:
        found.args.pop()
    else:
        return None
    return node


def _boolean(node: ast.stmt, chance: random.Random) -> ast.stmt | None:
    found = _pick(node, ast.BoolOp, chance)
    if not isinstance(found, ast.BoolOp):
        return None
    if chance.random() < 0.5:
        found.op = ast.Or() if isinstance(found.op, ast.And) else ast.And()
    else:
        found.values.pop(chance.randrange(len(found.values)))
        if len(found.values) == 1:
            found.values.append(copy.deepcopy(found.values[0]))
    return node


def _call_lost(node: ast.stmt, chance: random.Random) -> ast.stmt | None:
    """`x` for `f(x)` in what is assigned or returned."""
    if isinstance(node, ast.Assign | ast.Return) and isinstance(node.value, ast.Call) and node.value.args:
        node.value = node.value.args[0]
        return None if isinstance(node.value, ast.Starred) else node
    return None


def _bound(node: ast.stmt, chance: random.Random) -> ast.stmt | None:
    found = _pick(node, ast.Slice, chance)
    if not isinstance(found, ast.Slice) or not (found.lower or found.upper):
        return None
    found.lower, found.upper = found.upper, found.lower
    return node


KINDS: dict[str, Callable[[ast.stmt, random.Random], ast.stmt | None]] = {
    "another comparison": _comparison,
    "another operator": _arithmetic,
    "another constant": _constant,
    "condition negated": _negated,
    "statement lost": _lost,
    "another name": _other_name,
    "argument lost or swapped": _argument,
    "another condition": _boolean,
    "call lost": _call_lost,
    "bounds swapped": _bound,
}
