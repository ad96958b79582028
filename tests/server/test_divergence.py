"""Where a failing run first differs from the last good one: on the diagnostic, in a later session too."""

from __future__ import annotations

from pathlib import Path

from lsprotocol import types

from tests.server.conftest import STATS, TEST_STATS, make_project
from tests.server.editor import Editor, editing

GOOD = STATS.replace("(len(values) + 1)", "len(values)")
BAD = GOOD.replace("total += value", "total += value if value < 3 else 1")
FIRST = (
    "first differs from the last good run here: total was 6 (hit 3), now 4; the line was edited in between"
)


def fits(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project", {"stats.py": GOOD, "test_stats.py": TEST_STATS})


def divergences(editor: Editor) -> list[types.DiagnosticRelatedInformation]:
    related = [r for d in editor.diagnostics("test_stats.py") for r in d.related_information or ()]
    return [info for info in related if "first differs" in info.message]


def divergence_lines(editor: Editor) -> list[int]:
    return [info.location.range.start.line for info in divergences(editor)]


async def divergence(editor: Editor) -> types.DiagnosticRelatedInformation:
    await editor.until(lambda: divergences(editor), "a divergence")
    return divergences(editor)[0]


async def test_a_bad_save_shows_the_first_difference_from_the_good_one(tmp_path: Path, data: Path) -> None:
    async with editing(fits(tmp_path), data) as editor:
        editor.open("stats.py")
        editor.open("test_stats.py")
        editor.save("stats.py")
        await editor.lens_saying("stats.py", "2 passed")
        editor.write("stats.py", BAD)
        first = await divergence(editor)
        assert first.message == FIRST
        assert first.location.uri == editor.uri("stats.py") and first.location.range.start.line == 3
        editor.change("stats.py", "# moved\n" + BAD)
        await editor.until(lambda: divergence_lines(editor) == [4], "a place that moved with its line")
        editor.change("stats.py", GOOD)
        await editor.until(lambda: divergence_lines(editor) == [], "no place, for the line is gone")
        editor.write("stats.py", GOOD)
        await editor.clean("test_stats.py")


async def test_the_good_run_of_an_earlier_session_counts(tmp_path: Path, data: Path) -> None:
    root = fits(tmp_path)
    async with editing(root, data) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        await editor.lens_saying("stats.py", "2 passed")
        await editor.until(lambda: list((data / "traces").glob("*.sqlite3")), "a kept run")
    async with editing(root, data) as editor:
        editor.open("stats.py")
        editor.open("test_stats.py")
        editor.write("stats.py", BAD)
        assert (await divergence(editor)).message == FIRST


async def test_a_damaged_file_of_kept_runs_costs_nothing_but_the_comparison(
    tmp_path: Path, data: Path
) -> None:
    root = fits(tmp_path)
    async with editing(root, data) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        await editor.lens_saying("stats.py", "2 passed")
        await editor.until(lambda: list((data / "traces").glob("*.sqlite3")), "a kept run")
    for file in (data / "traces").iterdir():
        file.write_bytes(b"no database at all" * 400)
    async with editing(root, data) as editor:
        editor.open("stats.py")
        editor.write("stats.py", BAD)
        found = await editor.failure("test_stats.py")
        assert found.code == "AssertionError"
        editor.write("stats.py", GOOD)
        await editor.clean("test_stats.py")
        editor.write("stats.py", BAD)
        assert (await divergence(editor)).message == FIRST
