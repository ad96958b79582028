"""A long test for a prompt: what matters of it within a budget, with a word on what is left out."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from textwrap import dedent

from backtrail_model.evidence import TestCase
from backtrail_model.evidence.tokens import estimate


def shown(test: TestCase, room: int) -> str:
    """The source of the test within `room` estimated tokens, in whole lines.

    First come its head and the statement that failed, whatever they take, then what stands nearest before
    that, which led to it, then what did not run any more. A comment in each gap says how many lines it has.
    """
    lines = test.source.split("\n")
    first, last = _failed(test)
    kept = {0, *range(first, last + 1)}
    room -= sum(estimate(lines[number]) + 1 for number in kept)
    for number in [*range(first - 1, 0, -1), *range(last + 1, len(lines))]:
        room -= estimate(lines[number]) + 1
        if room < 0:
            break
        kept.add(number)
    return "\n".join(_with_gaps(lines, kept))


def _failed(test: TestCase) -> tuple[int, int]:
    """First and last line of the failed statement, counted from 0; the last line where it is not found."""
    end = test.source.count("\n")
    try:
        tree = ast.parse(dedent(test.source))
    except (SyntaxError, ValueError):
        return end, end
    statements = (node for node in ast.walk(tree) if isinstance(node, ast.stmt))
    found = (node for node in statements if ast.unparse(node) == test.assertion)
    return next(((node.lineno - 1, (node.end_lineno or node.lineno) - 1) for node in found), (end, end))


def _with_gaps(lines: Sequence[str], kept: set[int]) -> Iterator[str]:
    missing = 0
    for number, line in enumerate(lines):
        if number in kept:
            missing = 0
            yield line
            continue
        missing += 1
        if number + 1 == len(lines) or number + 1 in kept:
            indent = line[: len(line) - len(line.lstrip())]
            yield f"{indent}# ({missing} {'line' if missing == 1 else 'lines'} of the test not shown)"
