"""An applied fix becomes something to learn from, with facts of a real run; by default nothing is kept."""

from __future__ import annotations

from pathlib import Path

from backtrail_model.tune.kept import Kept
from backtrail_model.tune.triples import read
from backtrail_server.keeping import keep
from backtrail_server.results import Results, Shown
from backtrail_server.settings import Settings
from tests.model.real import run

WRONG = """
def mean(numbers):
    total = 1
    for number in numbers:
        total += number
    return total / len(numbers)
"""
TEST = """
from stats import mean


def test_mean():
    assert mean([2, 4]) == 3
"""


def test_nothing_is_kept_unless_the_person_says_so() -> None:
    assert Settings().fix.keep is False


async def test_a_fix_is_kept_with_the_facts_of_its_failure(tmp_path: Path) -> None:
    shown, before = await _failure(tmp_path)
    assert keep(shown, before, before.replace("total = 1", "total = 0"), tmp_path / "data") is None
    (triple,) = read(Kept(tmp_path / "data").path)
    assert "total = 1" in triple.program and "total = 0" in triple.fix
    assert "mean([2, 4]) == 3" in triple.facts and "3.5" in triple.facts


async def test_a_folder_that_cannot_be_written_is_said_and_does_no_harm(tmp_path: Path) -> None:
    shown, before = await _failure(tmp_path)
    (tmp_path / "data").write_text("a file where the folder should be", encoding="utf-8")
    said = keep(shown, before, before.replace("total = 1", "total = 0"), tmp_path / "data")
    assert said is not None and "could not be kept" in said


async def _failure(folder: Path) -> tuple[Shown, str]:
    project = await run(folder / "project", {"stats.py": WRONG, "test_stats.py": TEST}, "stats.py")
    ran = Results().put(project.trace, project.entry, project.session.interpreter)
    return Shown(ran, 0, project.trace.failures[0]), (project.folder / "stats.py").read_text(encoding="utf-8")
