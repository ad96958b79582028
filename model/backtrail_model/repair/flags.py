"""What is fishy about an edit that passes: it may fit the test instead of the problem."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from backtrail_model.repair.source import parsed

SPECIAL_CASE = "special-cases the test's values"
SWALLOWS = "swallows an exception"
ASSERTION = "removes an assertion or a check that raises"
WEAKENED = "changes an assertion of the program"
PARTLY = "other tests still fail, as they did before"

EVERYDAY = (None, True, False, "", " ", 100, 1000, *range(11), 0.0, 0.5, 1.0, 2.0)
"""Values that an honest program and a test have in common by chance."""


def flags(before: str, after: str, test_source: str) -> tuple[str, ...]:
    """The reasons why a passing edit is not to be preferred; empty for an honest one.

    `after` is Python; a test source that does not parse is taken to hold no values. Of a text before it that
    does not parse, no more is known than its words.
    """
    old, new = parsed(before), ast.parse(after)
    if old is None:
        return _flags_of_mended(before, new, test_source)
    found = []
    if _special_cases(old, new, test_source):
        found.append(SPECIAL_CASE)
    if _swallowing(new) > _swallowing(old):
        found.append(SWALLOWS)
    if _checks(new) < _checks(old):
        found.append(ASSERTION)
    elif _assertions(old) - _assertions(new):
        found.append(WEAKENED)
    return tuple(found)


def _flags_of_mended(before: str, new: ast.Module, test_source: str) -> tuple[str, ...]:
    """The same against a text that does not parse, by the words that stand in it."""
    found = []
    values = {value for value in _values(new) if value not in before}
    if not _tested(test_source).isdisjoint(values):
        found.append(SPECIAL_CASE)
    if _swallowing(new) > len(re.findall(r"\bexcept\b", before)):
        found.append(SWALLOWS)
    if _checks(new) < len(re.findall(r"^\s*(?:assert|raise)\b", before, re.MULTILINE)):
        found.append(ASSERTION)
    return tuple(found)


def orphans(before: str, after: str) -> int:
    """How many names an edit leaves written but no longer read: what the program counted is now ignored.
    Nothing is known of a text that did not parse."""
    old = parsed(before)
    return len(_unread(ast.parse(after)) - _unread(old)) if old is not None else 0


def _unread(tree: ast.Module) -> set[str]:
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    written = {node.id for node in names if isinstance(node.ctx, ast.Store)} | arguments
    return written - {node.id for node in names if isinstance(node.ctx, ast.Load)}


def _special_cases(old: ast.Module, new: ast.Module, test_source: str) -> bool:
    """A literal of the test that is not an everyday one has come into the program."""
    values = Counter(_values(new)) - Counter(_values(old))
    return not _tested(test_source).isdisjoint(values)


@lru_cache(maxsize=16)
def _tested(test_source: str) -> frozenset[str]:
    """The literals of a test but the everyday ones; read once a search, whose candidates share the test."""
    try:
        test = ast.parse(test_source)
    except SyntaxError:
        return frozenset()
    return frozenset(_values(test)) - {repr(value) for value in EVERYDAY}


def _values(tree: ast.AST) -> Iterator[str]:
    """The literals of a program: constants, and containers that hold nothing but constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            yield repr(node.value)
        elif (
            isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict)
            and len(list(ast.iter_child_nodes(node))) > 2
        ):
            try:
                yield repr(ast.literal_eval(node))
            except (ValueError, TypeError):
                continue


def _swallowing(tree: ast.AST) -> int:
    """Handlers that do nothing but go on or give a constant."""
    handlers = (node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler))
    return sum(len(handler.body) == 1 and _is_nothing(handler.body[0]) for handler in handlers)


def _is_nothing(node: ast.stmt) -> bool:
    match node:
        case ast.Pass() | ast.Continue() | ast.Break() | ast.Return(value=None | ast.Constant()):
            return True
        case ast.Expr(value=ast.Constant()):
            return True
    return False


def _assertions(tree: ast.AST) -> Counter[str]:
    return Counter(ast.dump(node) for node in ast.walk(tree) if isinstance(node, ast.Assert))


def _checks(tree: ast.AST) -> int:
    return sum(isinstance(node, ast.Assert | ast.Raise) for node in ast.walk(tree))
