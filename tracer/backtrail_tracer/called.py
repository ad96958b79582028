"""What the calls of a failing statement returned, by the name that the statement calls."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from backtrail_tracer.asserting import Asserted
from backtrail_tracer.trace import Failure, Frame, Hit, Value

Results = Mapping[tuple[str, bool], Value]
"""By the name of the function and whether it was awaited; a function that was called twice has none."""
Place = tuple[Path, int, int | None, str]  # file, line, item, function


def results(
    checks: Iterable[tuple[Failure, Asserted]],
    frames: Mapping[int, Frame],
    hits: Sequence[Hit],
    text_of: Callable[[Path], str | None],
) -> dict[int, Results]:
    """By the `id` of the failure. One look through the hits serves them all."""
    wanted = {place: id(failure) for failure, asserted in checks if (place := _place(failure, asserted))}
    last: dict[int, Hit] = {}
    for hit in hits if wanted else ():
        frame = frames[hit.frame]
        place = (frame.code.path, hit.line, frame.item, frame.code.name.rpartition(".")[2])
        if place in wanted:
            last[wanted[place]] = hit
    sites = {hit.frame: (failure, hit) for failure, hit in last.items()}
    found: dict[int, dict[tuple[str, bool], list[Value]]] = {}
    for frame in frames.values() if sites else ():
        site = sites.get(frame.parent) if frame.parent is not None else None
        if site is None or frame.left_by != "return" or frame.result is None:
            continue
        failure, hit = site
        if frame.entered_us < hit.time_us:
            continue
        kind = _kind(text_of(frame.code.path), frame.code.first_line)
        if kind is not None:
            key = (frame.code.name.rpartition(".")[2], kind)
            found.setdefault(failure, {}).setdefault(key, []).append(frame.result)
    return {
        failure: {key: values[0] for key, values in named.items() if len(values) == 1}
        for failure, named in found.items()
    }


def _place(failure: Failure, asserted: Asserted) -> Place | None:
    """The line that made the calls; None when the check has none."""
    where = failure.where
    if where is None or asserted.test is None:
        return None
    if not any(isinstance(node, ast.Call) for node in ast.walk(asserted.test)):
        return None
    return where.path, where.line, failure.item, where.name.rpartition(".")[2]


def _kind(text: str | None, first_line: int) -> bool | None:
    """Whether what the function returned is had by `await`; None where the call gave something else."""
    return _functions(text).get(first_line) if text is not None else None


@lru_cache(maxsize=32)
def _functions(text: str) -> Mapping[int, bool]:
    """First line -> is it `async`, for each function that is no generator."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[int, bool] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _yields(node):
            lines = [node.lineno, *(decorator.lineno for decorator in node.decorator_list)]
            found[min(lines)] = isinstance(node, ast.AsyncFunctionDef)
    return found


def _yields(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    inside: list[ast.AST] = list(function.body)
    while inside:
        node = inside.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            inside += ast.iter_child_nodes(node)
    return False
