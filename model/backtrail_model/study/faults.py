"""Which lines of a wrong program are at fault, told by a reference: the truth for explanations.

Both programs are compared statement by statement (their kind, function, depth and own text; layout, comments,
docstrings and annotations do not count). The lines of a statement that the reference replaces or removes are
at fault. Where it only adds one, so are the statement before the gap and the one behind it: the places at
which a person would put it (faults of omission in Pearson et al. 2017, "Evaluating and improving fault
localization", ICSE). A statement is all lines of a simple one, the header of a compound one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from attrs import frozen

from backtrail_model.study.replay import Unusable
from backtrail_tracer import statements
from backtrail_tracer.statements import Statement, Statements

MOST_STATEMENTS = 3
"""A reference that changes more is another program rather than a fix: nearly any line would be right."""
NO_REFERENCE = "it has no reference fix that could say which line is wrong"
NO_CHANGE = "the reference changes no statement"
TOO_MANY = f"the reference changes more than {MOST_STATEMENTS} statements: to name one of them proves little"

_Key = tuple[str, str, int, str]


@frozen
class Fault:
    """The lines at fault, 1-based, and how many statements the reference changes, adds or removes."""

    lines: frozenset[int]
    statements: int


def fault(program: str, reference: str) -> Fault | Unusable:
    """What the reference says is wrong with a program; or why it does not say so."""
    if not reference.strip():
        return Unusable(NO_REFERENCE)
    old, new = _compared(program), _compared(reference)
    matcher = SequenceMatcher(None, [key for _, key in old], [key for _, key in new], autojunk=False)
    changes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    count = sum(max(last - first, to - since) for _, first, last, since, to in changes)
    if not count:
        return Unusable(NO_CHANGE)
    if count > MOST_STATEMENTS:
        return Unusable(TOO_MANY)
    wrong = [one for _, first, last, _, _ in changes for one in _at_fault(old, first, last)]
    lines = frozenset(line for one in wrong for line in range(one.line, one.end_line + 1))
    return Fault(lines, count) if lines else Unusable(NO_CHANGE)


def _at_fault(old: Sequence[tuple[Statement, _Key]], first: int, last: int) -> Iterator[Statement]:
    """The statements of a change; those around the gap where there are none."""
    around = (first, last) if first < last else (max(0, first - 1), first + 1)
    yield from (one for one, _ in old[slice(*around)])


def _compared(text: str) -> list[tuple[Statement, _Key]]:
    found = statements.parse(text)
    return [(one, _key(one, found)) for one in found if not _says_nothing(one.node)]


def _key(statement: Statement, found: Statements) -> _Key:
    depth = sum(1 for _ in found.controlling(statement))
    return (type(statement.node).__name__, statement.function, depth, _text(statement.node))


def _text(node: ast.stmt) -> str:
    """What stands on the lines of a statement itself, as Python would write it."""
    match node:
        case ast.AnnAssign(target=target, value=value):
            return " ".join(map(ast.unparse, filter(None, (target, value))))
        case ast.Try(handlers=handlers) | ast.TryStar(handlers=handlers):
            return " ".join(ast.unparse(handler.type) for handler in handlers if handler.type is not None)
        case ast.FunctionDef(name=name, args=args) | ast.AsyncFunctionDef(name=name, args=args):
            names = [argument.arg for argument in ast.walk(args) if isinstance(argument, ast.arg)]
            return " ".join([name, *names, *map(ast.unparse, statements.header_parts(node))])
    return " ".join(map(ast.unparse, statements.header_parts(node)))


def _says_nothing(node: ast.stmt) -> bool:
    """An import, or a docstring."""
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or isinstance(node, ast.Import | ast.ImportFrom)
