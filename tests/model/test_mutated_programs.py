"""Small wrong programs that need no model: the right edit is among the mutations, and the tests find it."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest
from attrs import frozen

from backtrail_model.repair import repair, standard
from backtrail_tracer.verify import Verifier
from tests.model import real


@frozen
class Program:
    name: str
    source: str
    tests: str
    right: str  # a line of the program as it should be

    @property
    def files(self) -> dict[str, str]:
        return {f"{self.name}.py": self.source, f"test_{self.name}.py": self.tests}


PROGRAMS = (
    Program(
        "missing_abs",
        """
        def nearest(levels, target):
            '''The level with the least distance to the target.'''
            if not levels:
                raise ValueError("no levels")
            return min(levels, key=lambda level: level - target)
        """,
        """
        from missing_abs import nearest

        def test_below():
            assert nearest([3, 8, 20], 9) == 8

        def test_above():
            assert nearest([3, 8, 20], 15) == 20
        """,
        "    return min(levels, key=lambda level: abs(level - target))",
    ),
    Program(
        "half",
        """
        def middle(low, high):
            '''The place in the middle between two, downwards.'''
            if high < low:
                raise ValueError("high is below low")
            return low + high
        """,
        """
        from half import middle

        def test_even():
            assert middle(2, 8) == 5

        def test_odd():
            assert middle(3, 8) == 5
        """,
        "    return (low + high) // 2",
    ),
    Program(
        "wrong_default",
        """
        def batches(items, size=1):
            '''The items in groups: pairs, unless it is said how large.'''
            found = []
            for start in range(0, len(items), size):
                found.append(items[start : start + size])
            return found
        """,
        """
        from wrong_default import batches

        def test_pairs():
            assert batches("abcde") == ["ab", "cd", "e"]

        def test_said():
            assert batches("abcde", 3) == ["abc", "de"]

        def test_one_by_one():
            assert batches("abc", 1) == ["a", "b", "c"]
        """,
        "def batches(items, size=2):",
    ),
    Program(
        "swapped_arguments",
        """
        def clamp(value, low, high):
            return max(low, min(value, high))

        def brightness(level):
            '''A level between 0 and 100.'''
            return clamp(0, level, 100)
        """,
        """
        from swapped_arguments import brightness, clamp

        def test_too_bright():
            assert brightness(250) == 100

        def test_too_dark():
            assert brightness(-4) == 0

        def test_between():
            assert brightness(55) == 55

        def test_clamp():
            assert [clamp(n, 2, 4) for n in (1, 3, 9)] == [2, 3, 4]
        """,
        "    return clamp(level, 0, 100)",
    ),
    Program(
        "short_slice",
        """
        def stem(name):
            '''The name up to its last dot.'''
            dot = name.rfind(".")
            if dot <= 0:
                return name
            return name[: dot - 1]
        """,
        """
        from short_slice import stem

        def test_dot():
            assert stem("tide.tar.gz") == "tide.tar"

        def test_no_dot():
            assert stem("Makefile") == "Makefile"

        def test_hidden():
            assert stem(".profile") == ".profile"
        """,
        "    return name[: dot]",
    ),
    Program(
        "wrong_variable",
        """
        def owed(orders):
            '''What all orders come to, and how many pieces they are.'''
            total = 0
            pieces = 0
            for price, amount in orders:
                total += price * pieces
                pieces += amount
            return total, pieces
        """,
        """
        from wrong_variable import owed

        def test_two():
            assert owed([(5, 2), (7, 3)]) == (31, 5)

        def test_none():
            assert owed([]) == (0, 0)
        """,
        "        total += price * amount",
    ),
)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
async def test_a_wrong_program_is_repaired_without_a_model(program: Program, tmp_path: Path) -> None:
    project = await real.run(tmp_path, program.files, f"{program.name}.py")
    context = project.context()
    async with Verifier(project.session, project.entry) as verifier:
        search = repair(context, standard(None), verifier, budget_s=60, settle_s=20)
        async with aclosing(search) as running:
            fixes = [fix async for fix in running]
    assert fixes, "nothing was offered"
    assert fixes[-1].honest
    passed = {line.rstrip() for one in context.attempts.passed for line in one.text.splitlines()}
    assert {line.replace(" ", "") for line in passed} >= {program.right.replace(" ", "")}
