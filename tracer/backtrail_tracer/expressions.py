"""Which expressions may be evaluated in a stopped program without being asked for.

A name, an attribute, a subscript: what one points at with the mouse. Nothing that calls, assigns or
waits. That is told from the text alone; whether an attribute is a property, or an operator a method,
the probe finds out where the value is, and refuses (its looking.py).
"""

from __future__ import annotations

import ast

_SAFE = (
    ast.Expression,
    ast.Name,
    ast.Attribute,
    ast.Subscript,
    ast.Slice,
    ast.Constant,
    ast.Tuple,
    ast.List,
    ast.UnaryOp,
    ast.BinOp,
    ast.BoolOp,
    ast.Compare,
    ast.unaryop,
    ast.operator,
    ast.boolop,
    ast.cmpop,
    ast.expr_context,
)
_COSTLY = (ast.Pow, ast.LShift, ast.Mult)
"""With constants alone, these can ask for more memory than there is: 9**9**9, [0] * 10**12."""

_LONGEST = 500


def is_safe_expression(text: str) -> bool:
    """Whether evaluating `text` calls nothing by itself, changes nothing, and is of modest size."""
    if not text.strip() or len(text) > _LONGEST or "\n" in text:
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, _SAFE) and not isinstance(node, _COSTLY) for node in ast.walk(tree))
