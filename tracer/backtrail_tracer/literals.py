"""Works out subscripts from recorded values: only from exact built-in types that were recorded whole.

Nothing of the user's is run; a rendering that was cut or redacted is no value and gives no answer.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from backtrail_tracer.trace import Value

_TYPES = frozenset(
    {"int", "str", "float", "bool", "NoneType", "list", "tuple", "dict", "bytes", "set", "complex"}
)
_CHARS = 160


class Unknown(Exception):
    """The record does not say."""


def is_literal(written: ast.expr | str) -> bool:
    try:
        ast.literal_eval(written)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def literal_of(value: Value | None) -> Any:
    """The value itself, read back from its rendering. Raises Unknown."""
    if value is None or value.cut or value.redacted or value.type not in _TYPES:
        raise Unknown
    try:
        read = ast.literal_eval(value.text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise Unknown from error
    if type(read).__name__ != value.type or (value.length is not None and _length(read) != value.length):
        raise Unknown
    return read


def _length(thing: Any) -> int:
    return len(thing) if hasattr(thing, "__len__") else -1


def value_of(tree: ast.expr, look_up: Callable[[str], Any]) -> Value | None:
    """The value of a subscript or a literal expression, with names by `look_up` (may raise Unknown)."""
    if isinstance(tree, ast.Constant):
        return None  # the text says it already
    try:
        thing = _evaluate(tree, look_up)
    except Unknown:
        return None
    text = repr(thing)
    return Value(type(thing).__name__, text[:_CHARS], cut=len(text) > _CHARS)


def _evaluate(tree: ast.expr, look_up: Callable[[str], Any]) -> Any:
    match tree:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return look_up(name)
        case ast.UnaryOp(ast.USub(), ast.Constant(int(number))):
            return -number
        case ast.Subscript(container, index) if not isinstance(index, ast.Slice):
            try:
                return _evaluate(container, look_up)[_evaluate(index, look_up)]
            except (TypeError, LookupError) as error:
                raise Unknown from error
    raise Unknown
