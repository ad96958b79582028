"""The visible tests of an item as bodies of test functions, so that each is run and reported by itself."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence

CHECK = "check"


class NotReadable(Exception):
    """The visible tests do not parse."""


def visible_tests(text: str, entry_point: str) -> tuple[str, ...]:
    """One body for each assertion; one for all where they share anything else. Raises NotReadable."""
    tree = _parse(text)
    check = next((node for node in tree.body if _is_check(node)), None)
    body = check.body if isinstance(check, ast.FunctionDef) else tree.body
    statements = [node for node in body if not _says_nothing(node)]
    alias = _alias(check, entry_point)
    if all(isinstance(node, ast.Assert) for node in statements):
        return tuple(f"{alias}{ast.unparse(node)}" for node in statements)
    return (alias + "\n".join(ast.unparse(node) for node in statements),)


def test_file(module: str, tests: Sequence[str]) -> str:
    """A pytest file with one function for each body."""
    functions = (
        f"def test_{number}():\n{textwrap.indent(body, '    ')}\n" for number, body in enumerate(tests)
    )
    return "\n\n".join([f"from {module} import *", *functions])


def _parse(text: str) -> ast.Module:
    last: Exception | None = None
    for candidate in _readings(text):
        try:
            return ast.parse(candidate)
        except (SyntaxError, ValueError) as error:
            last = error
    raise NotReadable(str(last))


def _readings(text: str) -> Iterator[str]:
    """The text; and without indented lines at its start, which some rows have left over from a solution."""
    yield textwrap.dedent(text.strip("\n"))
    lines = text.splitlines()
    start = next((at for at, line in enumerate(lines) if line[:1].strip()), len(lines))
    yield "\n".join(lines[start:])


def _is_check(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == CHECK


def _says_nothing(node: ast.stmt) -> bool:
    """A bare name or constant, and the call of `check` itself."""
    if not isinstance(node, ast.Expr):
        return isinstance(node, ast.Pass)
    called = node.value.func if isinstance(node.value, ast.Call) else None
    if isinstance(called, ast.Name) and called.id == CHECK:
        return True
    return isinstance(node.value, ast.Constant | ast.Name)


def _alias(check: ast.stmt | None, entry_point: str) -> str:
    """`candidate = solve`, where the tests call the program by another name than its own."""
    names = [argument.arg for argument in check.args.args] if isinstance(check, ast.FunctionDef) else []
    return f"{names[0]} = {entry_point}\n" if names and entry_point and names[0] != entry_point else ""
