"""How checks are written: `assert`, unittest's methods, and blocks that were to raise."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import lru_cache

from attrs import frozen

from backtrail_tracer.trace import Failure, FailureFrame

LONGEST = 100
"""Of a condition, in characters."""

OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
_TWO_SIDED: dict[str, type[ast.cmpop]] = {
    **dict.fromkeys(
        (
            "assertEqual",
            "assertEquals",
            "assertAlmostEqual",
            "assertCountEqual",
            "assertDictEqual",
            "assertListEqual",
            "assertMultiLineEqual",
            "assertSequenceEqual",
            "assertSetEqual",
            "assertTupleEqual",
        ),
        ast.Eq,
    ),
    "assertNotEqual": ast.NotEq,
    "assertNotAlmostEqual": ast.NotEq,
    "assertLess": ast.Lt,
    "assertLessEqual": ast.LtE,
    "assertGreater": ast.Gt,
    "assertGreaterEqual": ast.GtE,
    "assertIs": ast.Is,
    "assertIsNot": ast.IsNot,
    "assertIn": ast.In,
    "assertNotIn": ast.NotIn,
}
_RAISING = frozenset({"raises", "assertRaises", "assertRaisesRegex"})
_CALLED_FOR_IT = ("raises", "assertRaises")  # with the callable as an argument


@frozen
class Asserted:
    """A check as it is written. `test` is what had to be true; None for an exception that did not come."""

    source: str
    test: ast.expr | None
    operator: str  # see `trace.Check`
    condition: str

    @property
    def sides(self) -> tuple[ast.expr, ast.expr] | None:
        """Left and right of a plain comparison."""
        if isinstance(self.test, ast.Compare) and len(self.test.ops) == 1:
            return self.test.left, self.test.comparators[0]
        return None

    def text(self, node: ast.expr) -> str:
        return _text(self.source, node)


def read(source: str, where: FailureFrame, failure: Failure, inner: Sequence[str]) -> Asserted | None:
    """The check at the place where a failure left the user's code; None for what is no check that is known.

    `inner` are the names of the functions, of other people, that were entered from there.
    """
    if _did_not_raise(failure):
        return _raising(source, where)
    if failure.type != "AssertionError":
        return None
    node = _statement(source, where)
    if isinstance(node, ast.Assert) and not inner:
        return _of_test(source, node.test)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and inner:
        return _of_method(source, node.value, inner[0])
    return None


def _did_not_raise(failure: Failure) -> bool:
    if failure.type == "Failed":
        return failure.message.startswith("DID NOT RAISE")
    return failure.type == "AssertionError" and " not raised" in failure.message


def _of_test(source: str, test: ast.expr) -> Asserted:
    operator = ""
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        operator = OPERATORS[type(test.ops[0])]
    return Asserted(source, test, operator, _text(source, test))


def _of_method(source: str, call: ast.Call, method: str) -> Asserted | None:
    """The condition that a method of unittest's TestCase stands for."""
    if not method.startswith("assert") or name_of(call) != method:
        return None
    match method, call.args:
        case "assertTrue", [test, *_]:
            return _of_test(source, test)
        case "assertFalse", [test, *_]:
            return _of_test(source, ast.UnaryOp(ast.Not(), test))
        case "assertIsNone", [thing, *_]:
            return _of_test(source, ast.Compare(thing, [ast.Is()], [ast.Constant(None)]))
        case "assertIsNotNone", [thing, *_]:
            return _of_test(source, ast.Compare(thing, [ast.IsNot()], [ast.Constant(None)]))
        case _, [left, right, *_] if method in _TWO_SIDED:
            return _of_test(source, ast.Compare(left, [_TWO_SIDED[method]()], [right]))
    arguments = ast.Tuple([*call.args, *(keyword.value for keyword in call.keywords)], ast.Load())
    return Asserted(source, arguments, "call", _text(source, call))


def _raising(source: str, where: FailureFrame) -> Asserted | None:
    """A `with pytest.raises(…)` around the place, or a call of it there."""
    for node in reversed(list(_around(source, where.line))):
        if isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                if isinstance(call := item.context_expr, ast.Call) and name_of(call) in _RAISING:
                    return _raises(source, call, _body(source, node.body))
        elif isinstance(node, ast.Expr) and isinstance(call := node.value, ast.Call):
            if name_of(call) not in _CALLED_FOR_IT or len(call.args) < 2:
                continue
            made = ast.Call(call.args[1], call.args[2:], call.keywords)
            return _raises(source, call, ast.unparse(made))
    return None


def _raises(source: str, call: ast.Call, body: str) -> Asserted | None:
    named = [keyword.value for keyword in call.keywords if keyword.arg == "expected_exception"]
    expected = next(iter([*call.args, *named]), None)
    if expected is None:
        return None
    return Asserted(source, None, "raises", f"{_cut(body)} raises {_text(source, expected)}")


def _body(source: str, body: Sequence[ast.stmt]) -> str:
    first = ast.get_source_segment(source, body[0]) or ast.unparse(body[0])
    return first.splitlines()[0] + ("; …" if len(body) > 1 or "\n" in first else "")


def _statement(source: str, where: FailureFrame) -> ast.stmt | None:
    """The innermost statement at a place; None where several share the line and the column is not known."""
    found = [node for node in _around(source, where.line) if isinstance(node, ast.Assert | ast.Expr)]
    if where.col >= 0:
        at = (where.line, where.col)
        found = [
            n for n in found if (n.lineno, n.col_offset) <= at <= (n.end_lineno or 0, n.end_col_offset or 0)
        ]
    return found[-1] if len(found) == 1 else None


def _around(source: str, line: int) -> Iterator[ast.stmt]:
    """The statements that cover a line, outermost first."""
    return (node for node in _statements(source) if node.lineno <= line <= (node.end_lineno or node.lineno))


@lru_cache(maxsize=32)
def _statements(source: str) -> tuple[ast.stmt, ...]:
    """The statements that can be checks, outer ones before inner ones; many failures have the same file."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    kinds = (ast.Assert, ast.Expr, ast.With, ast.AsyncWith)
    found = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return tuple(sorted(found, key=lambda node: (node.lineno, node.col_offset)))


def name_of(call: ast.Call) -> str:
    """The name that is called, without what stands before its last dot."""
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _text(source: str, node: ast.expr) -> str:
    """The text as it is written where that is one line, else as Python would write it."""
    written = ast.get_source_segment(source, node) if hasattr(node, "lineno") else None
    return _cut(written if written and "\n" not in written else ast.unparse(node))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
