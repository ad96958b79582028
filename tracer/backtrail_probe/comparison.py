"""Which two values a failed assertion compared, and which of them was expected.

By convention the left operand is the actual value and the right one is what was expected, unless
only the left one is a literal in the source.
"""

from __future__ import annotations

import ast

from . import statics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Tuple


def operands(
    exc: BaseException, compared: "Optional[Tuple[str, str]]", render: "Callable[[Any], str]"
) -> "Tuple[Optional[str], Optional[str]]":
    """Expected and actual as JSON text. `compared` are the operands that pytest handed over last."""
    if not statics.derives(type(exc), AssertionError):
        return None, None
    frame, line = _innermost(exc)
    found = _unittest_operands(exc, render)
    if found is None:
        found = compared
    if found is None:
        return None, None
    left, right = found
    return (left, right) if _literal_first(frame, line) else (right, left)


def _innermost(exc: BaseException) -> "Tuple[Any, int]":
    """The last frame that is not unittest's own."""
    frame, line = None, 0
    traceback = statics.traceback_of(exc)
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__unittest") is not True:
            frame, line = traceback.tb_frame, traceback.tb_lineno or 0
        traceback = traceback.tb_next
    return frame, line


def _unittest_operands(exc: BaseException, render: "Callable[[Any], str]") -> "Optional[Tuple[str, str]]":
    """`assertEqual` and its kin have them in their variables `first` and `second`."""
    traceback = statics.traceback_of(exc)
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_globals.get("__unittest") is True and frame.f_code.co_name.startswith("assert"):
            held = frame.f_locals
            if "first" in held and "second" in held:
                return render(held["first"]), render(held["second"])
        traceback = traceback.tb_next
    return None


def _literal_first(frame: Any, line: int) -> bool:
    """Whether the failing statement compares a literal with something that is none."""
    if frame is None:
        return False
    import linecache

    lines = linecache.getlines(frame.f_code.co_filename)
    statement = _statement("".join(lines), line)
    pair = _compared(statement)
    return pair is not None and _is_literal(pair[0]) and not _is_literal(pair[1])


def _statement(source: str, line: int) -> "Optional[ast.stmt]":
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    found = None
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assert, ast.Expr)) and node.lineno <= line <= (
            node.end_lineno or node.lineno
        ):
            found = node
    return found


def _compared(statement: "Optional[ast.stmt]") -> "Optional[Tuple[ast.expr, ast.expr]]":
    if isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Compare):
        return statement.test.left, statement.test.comparators[-1]
    if (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and len(statement.value.args) > 1
    ):
        return statement.value.args[0], statement.value.args[1]
    return None


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True
