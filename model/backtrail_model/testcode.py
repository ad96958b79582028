"""Which code is a test's: it is shown as the expectation, and no repair may touch it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from backtrail_tracer.trace import Trace

_TEST_FILE = re.compile(r"(test_.*|.*_test|conftest)\.py")
_TEST_NAME = re.compile(r"(test|Test)")
_FIXTURE = re.compile(r"(^|\.)fixture$")


@frozen
class TestCode:
    """`files` are tests as a whole; in `shared` files only what looks like a test is."""

    __test__ = False  # not a test class of pytest's

    files: frozenset[Path]
    shared: frozenset[Path]

    def holds(self, path: Path, function: str) -> bool:
        """Whether the code of a function (qualified name, "<module>" outside any) belongs to the tests."""
        if path in self.files or (_TEST_FILE.fullmatch(path.name) and path not in self.shared):
            return True
        return path in self.shared and (function == "<module>" or bool(_TEST_NAME.match(function)))

    def protected(self, path: Path, text: str) -> tuple[str, ...]:
        """What must stay as it is in a text: its tests, fixtures, doctest examples and what runs them.

        Two texts with the same protected parts test the same. Raises SyntaxError.
        """
        tree = ast.parse(text)
        if self.holds(path, ""):
            return (ast.dump(tree),)
        return tuple(_protected(tree, path in self.shared))


def test_code(trace: Trace) -> TestCode:
    """By what ran: a file of test functions is shared when nothing else of the project ran in them.

    A file with doctests, or a script, is always shared: its own code is what is under test.
    """
    functions = {item.path for item in trace.items if item.path is not None and _is_function(item.name)}
    others = {item.path for item in trace.items if item.path is not None} - functions
    ran = {trace.frames[hit.frame].code.path for hit in trace.hits}
    code = {path for path in ran - functions if not _TEST_FILE.fullmatch(path.name)}
    if code:
        return TestCode(frozenset(functions), frozenset(others))
    return TestCode(frozenset(), frozenset(functions | others))


def _is_function(item: str) -> bool:
    """Whether an item is a test function of pytest's ("test_x.py::test_y[1.5]"), no doctest ("x.py::x.f")."""
    return "::" in item and "." not in item.rpartition("::")[2].partition("[")[0]


def _protected(tree: ast.Module, shared: bool) -> Iterator[str]:
    for node in tree.body:
        if _is_main_guard(node) or (shared and (_is_test(node) or _runs_or_asserts(node))):
            yield ast.dump(node)
    for inner in ast.walk(tree):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and ">>>" in inner.value:
            yield inner.value


def _is_test(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    decorators = (ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list)
    return bool(_TEST_NAME.match(node.name)) or any(_FIXTURE.search(text) for text in decorators)


def _runs_or_asserts(node: ast.stmt) -> bool:
    """A statement at module level that checks or calls something: the script's own test."""
    return isinstance(node, ast.Assert | ast.Expr | ast.For | ast.While | ast.With | ast.Try | ast.If)


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
