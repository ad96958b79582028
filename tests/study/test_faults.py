"""Which lines a reference fix calls wrong: by statements, not by layout."""

from __future__ import annotations

from textwrap import dedent

import pytest

from backtrail_model.study.faults import NO_CHANGE, NO_REFERENCE, TOO_MANY, Fault, fault
from backtrail_model.study.replay import Unusable

PROGRAM = """\
def spent(entries, limit=5):
    total = 0
    for entry in entries:
        if entry > limit:
            total += (
                entry - limit
            )
    return total
"""


@pytest.mark.parametrize(
    ("change", "lines", "count"),
    [
        (("total = 0", "total = 1"), {2}, 1),
        (("entry > limit", "entry >= limit"), {4}, 1),
        (("entry - limit", "entry"), {5, 6, 7}, 1),  # all lines of the statement
        (("limit=5", "limit=6"), {1}, 1),
        (("    total = 0\n", ""), {2, 1}, 1),
        (("    return total", "        return total"), {8}, 1),  # at another depth
        (("    return total", "    total *= 2\n    return total"), {5, 6, 7, 8}, 1),
        (("    return total\n", "    return total\n    print(total)\n"), {8}, 1),
    ],
)
def test_the_lines_of_changed_statements_and_those_around_a_gap(
    change: tuple[str, str], lines: set[int], count: int
) -> None:
    if change[1] == "":  # the program lacks what the reference has: the neighbours of the gap
        found = fault(PROGRAM.replace(*change), PROGRAM)
    else:
        found = fault(PROGRAM, PROGRAM.replace(*change))
    assert found == Fault(frozenset(lines), count)


def test_layout_comments_docstrings_imports_and_annotations_are_no_change() -> None:
    same = dedent('''\
        import math

        def spent(entries: list[int], limit: int = 5) -> int:
            """What is over the limit."""
            total: int = 0
            for entry in entries:  # each
                if (entry > limit):
                    total += entry - limit
            return total
    ''')
    assert fault(PROGRAM.replace("total = 0", "total: float = 0"), same) == Unusable(NO_CHANGE)


def test_another_program_or_none_tells_no_line() -> None:
    assert fault(PROGRAM, "def spent(xs):\n    return sum(x - 5 for x in xs if x > 5)\n") == Unusable(
        TOO_MANY
    )
    assert fault(PROGRAM, "") == Unusable(NO_REFERENCE)
