"""The slice of a generated program, run by itself, gives the value that it was made for.

Statements that are not in the slice of a value are taken out of the program, and out of its helpers; if
the value then came out otherwise, the slice would have missed something that it came from.
"""

from __future__ import annotations

import ast
import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backtrail_tracer.slicing import History, backward_slice
from tests.model import programs, real

EACH = 16  # programs in one traced run, since it is the run that takes time
VALUES = {name: name for name in ("a", "b", "c", "xs", "ys")} | {"p": "(p.n, p.items)", "q": "(q.n, q.items)"}


class _Without(ast.NodeTransformer):
    """Puts `pass` for what is on none of the lines, inside functions; drops the other programs."""

    def __init__(self, lines: set[int], function: str, result: str) -> None:
        self.removed = 0
        self._lines = lines
        self._function = function
        self._result = ast.parse(f"return {result}").body[0]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        if node.name.startswith("program_"):
            if node.name != self._function:
                return ast.Pass()
            node.body[-1] = self._result
        node.body = [self._kept(one) for one in node.body]
        return node

    def _kept(self, node: ast.stmt) -> ast.stmt:
        if any(isinstance(inner, ast.Yield) for inner in ast.walk(node)):
            return node  # without it the function would be no generator
        if node is not self._result and not self._lines & set(range(node.lineno, (node.end_lineno or 0) + 1)):
            self.removed += 1
            return ast.Pass()
        for name in ("body", "orelse", "finalbody"):
            if hasattr(node, name):
                setattr(node, name, [self._kept(one) for one in getattr(node, name)])
        for handler in getattr(node, "handlers", []):
            handler.body = [self._kept(one) for one in handler.body]
        return node


def _value(text: str, lines: set[int] | None, function: str, name: str) -> tuple[Any, int]:
    """The value with which a program ends when only the given lines (None: all) run; how many went."""
    tree = ast.parse(text)
    without = _Without(lines or set(range(text.count("\n") + 2)), function, VALUES[name])
    tree = ast.fix_missing_locations(without.visit(tree))
    space: dict[str, Any] = {"__name__": "made"}
    exec(compile(tree, "made", "exec"), space)
    return space[function](), without.removed


async def _slices(text: str, count: int) -> list[tuple[str, str, set[int]]]:
    """(function, name, lines of the slice) for each value with which a program ended."""
    tests = "\n\n".join(f"def test_{n}():\n    program_{n}()\n" for n in range(count))
    files = {"made.py": text, "test_made.py": f"from made import *\n\n\n{tests}"}
    with tempfile.TemporaryDirectory() as folder:
        project = await real.run(Path(folder), files, "made.py", wall_s=120)
    history = History(project.trace, lambda path: text if path.name == "made.py" else "")
    found = []
    for frame in project.trace.frames.values():
        if frame.code.name.startswith("program_"):
            last = history.hits(frame.id)[-1]
            for name in VALUES:
                steps = backward_slice(history, last, [name]).steps
                lines = {step.hit.line for step in steps if history.path(step.hit).name == "made.py"}
                found.append((frame.code.name, name, lines))
    return found


@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(programs.PROGRAMS, min_size=EACH, max_size=EACH))
def test_what_is_not_in_the_slice_does_not_matter(made: list[list[str]]) -> None:
    text = programs.module(made)
    sliced = asyncio.run(_slices(text, len(made)))
    assert len(sliced) == len(made) * len(VALUES)
    gone = 0
    for function, name, lines in sliced:
        whole, _ = _value(text, None, function, name)
        part, removed = _value(text, lines, function, name)
        assert part == whole, f"{name} of {function}, of which lines {sorted(lines)} are in the slice\n{text}"
        gone += removed
    assert gone > len(sliced), "a slice that keeps everything shows nothing"
