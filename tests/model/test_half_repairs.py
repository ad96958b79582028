"""Edits after which some tests fail as before: half of a repair, or all there is to one of two bugs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path

from backtrail_model.repair import Fix, RepairContext, repair, standard
from backtrail_model.repair.proposers import Mutations
from backtrail_tracer.verify import Verifier
from tests.model import real
from tests.model.test_proposers import proposed

ONE_FUNCTION = {
    "grades.py": """
        def passed(points, bonus):
            if points > 50:
                return True
            return points + bonus > 60
        """,
    "test_grades.py": """
        from grades import passed

        def test_enough():
            assert passed(50, 0)

        def test_with_bonus():
            assert passed(40, 20)

        def test_not_enough():
            assert not passed(40, 10)
        """,
}
TWO_FUNCTIONS = {
    "grades.py": """
        def enough(points):
            return points > 50

        def with_bonus(points, bonus):
            return points + bonus > 60
        """,
    "test_grades.py": """
        from grades import enough, with_bonus

        def test_enough():
            assert enough(50)

        def test_with_bonus():
            assert with_bonus(40, 20)

        def test_not_enough():
            assert not enough(49)
        """,
}


async def found(tmp_path: Path, files: Mapping[str, str]) -> tuple[list[Fix], RepairContext]:
    """What a search without a model finds that ends as soon as it may."""
    project = await real.run(tmp_path, files, "grades.py")
    context = project.context()
    async with Verifier(project.session, project.entry) as verifier:
        search = repair(context, [Mutations()], verifier, budget_s=60, settle_s=0.0)
        async with aclosing(search) as running:
            return [fix async for fix in running], context


async def test_half_of_a_repair_is_offered_and_the_search_goes_on(tmp_path: Path) -> None:
    fixes, context = await found(tmp_path, ONE_FUNCTION)
    assert fixes
    assert {fix.remaining for fix in fixes} == {1}
    assert "other tests still fail" in fixes[0].title
    edits = {one.key for one in await proposed(Mutations(), context)}
    assert {one.key for one, _ in context.attempts.tried} == edits, "all there was to try"


async def test_the_other_bug_is_in_no_way_of_this_one(tmp_path: Path) -> None:
    fixes, context = await found(tmp_path, TWO_FUNCTIONS)
    assert fixes[-1].remaining == 0
    assert "other tests still fail" in fixes[-1].title
    edits = {one.key for one in await proposed(Mutations(), context)}
    assert {one.key for one, _ in context.attempts.tried} < edits, "it ended with the fix"


TWO_PLACES = {
    "tiles.py": """
        def ways(length):
            if length == 0:
                return 0
            if length == 1:
                return 2
            return ways(length - 1) + ways(length - 2)
        """,
    "test_tiles.py": """
        from tiles import ways

        def test_ways():
            assert ways(0) == 1
            assert ways(1) == 1
            assert ways(6) == 13
        """,
}


async def test_a_bug_in_two_places_is_repaired_from_the_half_that_comes_further(tmp_path: Path) -> None:
    project = await real.run(tmp_path, TWO_PLACES, "tiles.py")
    context = project.context()
    async with Verifier(project.session, project.entry) as verifier:
        search = repair(context, standard(None), verifier, budget_s=60, settle_s=0.0)
        async with aclosing(search) as running:
            fixes = [fix async for fix in running]
    assert [line.strip() for line in fixes[-1].candidate.text.splitlines() if "return" in line] == [
        "return 1",
        "return 1",
        "return ways(length - 1) + ways(length - 2)",
    ]
    singles = {one.key for one in await proposed(Mutations(), context)}
    assert fixes[-1].candidate.key not in singles


async def test_where_no_edit_comes_further_no_pairs_are_made(tmp_path: Path) -> None:
    files = {
        "far.py": "def far(x):\n    return [x]\n",
        "test_far.py": "from far import far\n\n\ndef test_far():\n    assert far(3) == {'answer': 'three'}\n",
    }
    project = await real.run(tmp_path, files, "far.py")
    context = project.context()
    async with Verifier(project.session, project.entry) as verifier:
        search = repair(context, standard(None), verifier, budget_s=60, settle_s=0.0)
        async with aclosing(search) as running:
            assert [fix async for fix in running] == []
    singles = {one.key for one in await proposed(Mutations(), context)}
    assert {one.key for one, _ in context.attempts.tried} == singles
