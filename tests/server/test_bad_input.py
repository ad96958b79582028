"""What bad input gets: one row of the list each, through a real server and real runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psutil
import pytest
from lsprotocol import types

from tests.server.conftest import STATS, make_project
from tests.server.editor import NEVER, ONLY_ASKED, editing

LIMITS = {"limits": {"wallSeconds": 2, "outputKb": 64}}


def script(tmp_path: Path, body: str) -> Path:
    return make_project(tmp_path / "project", {"program.py": body})


async def test_a_syntax_error_keeps_the_old_values_marked_old(project: Path, data: Path) -> None:
    async with editing(project, data) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        await editor.failure("test_stats.py")
        runs = len(editor.client.progress_reports)
        editor.write("stats.py", STATS + "\ndef broken(:\n    pass\n")
        title = await editor.lens_saying("stats.py", "Not run: .* in line 11")
        assert "Values are from" in title
        hover = await editor.hover("stats.py", "to^tal += value")
        assert hover and "6  # last" in hover and "**old**: the file was edited since" in hover
        assert len(editor.client.progress_reports) == runs, "nothing may run"


async def test_a_file_that_nothing_runs_says_how_to_add_an_entry(tmp_path: Path, data: Path) -> None:
    root = make_project(tmp_path / "project", {"alone.py": "x = 1\n"})
    async with editing(root, data) as editor:
        editor.open("alone.py")
        editor.save("alone.py")
        title = await editor.lens_saying("alone.py", "Nothing runs this file")
        assert "test_alone.py" in title and "[tool.backtrail]" in title
        assert editor.questions == [], "there is nothing to ask about"


@pytest.mark.parametrize("answer", [None, NEVER, ONLY_ASKED])
async def test_without_consent_nothing_runs(project: Path, data: Path, answer: str | None) -> None:
    async with editing(project, data, answers={"": answer}) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        await editor.lens_saying("stats.py", "Not run")
        editor.save("stats.py")
        await asyncio.sleep(0.3)
        assert len(editor.questions) == 1, "the question comes once a session"
        assert editor.client.progress_reports == {} and editor.diagnostics("test_stats.py") == []
        assert not [child for child in editor.children() if "python" in child.name()]
        again = await editor.command("backtrail.trace", editor.uri("stats.py"))
        assert again["started"] is (answer == ONLY_ASKED), again


async def test_a_client_that_cannot_ask_is_told_the_command(project: Path, data: Path) -> None:
    mute = types.ClientCapabilities(window=types.WindowClientCapabilities(work_done_progress=True))
    async with editing(project, data, capabilities=mute) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        assert f"backtrail trust {project}" in await editor.said("would like to run")
        assert editor.questions == [] and editor.client.diagnostics == {}


async def test_a_repository_that_asks_for_more_is_asked_about_again(project: Path, data: Path) -> None:
    async with editing(project, data) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        await editor.failure("test_stats.py")
        file = project / "pyproject.toml"
        file.write_text(file.read_text() + "guard.allow = ['network']\n")
        editor.save("stats.py")
        await editor.until(lambda: len(editor.questions) == 2, "a second question")
        assert "network" in editor.questions[1].message and "network" not in editor.questions[0].message


async def test_without_a_host_everything_else_works_and_fix_says_how_to_start_one(
    project: Path, data: Path
) -> None:
    async with editing(project, data) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        await editor.failure("test_stats.py")
        assert await editor.hover("stats.py", "to^tal += value")
        answer = await editor.command("backtrail.fix", editor.uri("stats.py"))
        assert "backtrail host" in answer["message"]
        told = await editor.command("backtrail.explain", editor.uri("stats.py"))
        assert "backtrail host" in told["markdown"] and "1.5" in told["markdown"]


async def test_a_host_that_is_down_is_said_with_its_address(project: Path, data: Path) -> None:
    options = {"model": {"baseUrl": "http://127.0.0.1:9/v1"}}
    async with editing(project, data, options=options) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        await editor.failure("test_stats.py")
        told = await editor.command("backtrail.explain", editor.uri("stats.py"))
        assert "127.0.0.1:9" in told["markdown"]


async def test_a_host_elsewhere_is_not_asked_unless_it_is_allowed(project: Path, data: Path) -> None:
    options = {"model": {"baseUrl": "http://models.example/v1"}}
    async with editing(project, data, options=options) as editor:
        status = (await editor.command("backtrail.status"))["markdown"]
        assert "models.example" in status and "nothing was sent" in status


@pytest.mark.parametrize(
    ("body", "said", "line"),
    [
        ("n = 0\nwhile True:\n    n += 1\n", "limits.wallSeconds", None),
        ("x = 1\nwhile True:\n    print('x' * 1000)\n", "printed more than", None),
        ("import os\nx = 41\nos._exit(3)\n", "ended itself", 3),
        ("x = 1\nprint(x)\nopen(__file__, 'w')\n", "guard|blocked|side effect", 3),
        ("import os\nx = 1\nos.remove(__file__)\n", "guard|blocked|side effect", 3),
    ],
    ids=["endless loop", "endless print", "os._exit", "overwrites a file", "deletes a file"],
)
async def test_a_program_that_misbehaves_is_stopped_and_what_was_recorded_is_shown(
    tmp_path: Path, data: Path, body: str, said: str, line: int | None
) -> None:
    import re

    source = f'{body}\n\nif __name__ == "__main__":\n    pass\n'
    root = script(tmp_path, source)
    async with editing(root, data, options=LIMITS) as editor:
        editor.open("program.py")
        editor.save("program.py")
        found = await editor.failure("program.py")
        assert re.search(said, found.message), found.message
        assert line is None or found.range.start.line == line - 1
        name = "n" if body.startswith("n") else "x"
        assert await editor.hover("program.py", f"^{name} = "), "what was recorded is shown"
        assert (root / "program.py").read_text() == source, "the file is as it was"
        await gone(editor.children())


async def test_a_program_that_reads_stdin_finds_it_empty(tmp_path: Path, data: Path) -> None:
    root = script(
        tmp_path, 'import sys\n\nif __name__ == "__main__":\n    text = sys.stdin.read()\n    x = input()\n'
    )
    async with editing(root, data, options=LIMITS) as editor:
        editor.open("program.py")
        editor.save("program.py")
        found = await editor.failure("program.py")
        assert found.code == "EOFError" and found.range.start.line == 4
        assert await editor.hover("program.py", "te^xt = ")


@pytest.mark.parametrize(
    ("options", "key"),
    [({"onSav": "off"}, "`onSav`"), ({"limits": {"wallSeconds": "x"}}, "`limits.wallSeconds`")],
)
async def test_a_wrong_setting_is_named_in_one_message(
    project: Path, data: Path, options: dict[str, Any], key: str
) -> None:
    async with editing(project, data, options=options) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        await editor.failure("test_stats.py")
        told = [message.message for message in editor.client.messages]
        assert len(told) == 1 and key in told[0], told


async def test_a_malformed_project_file_is_named_in_one_message(project: Path, data: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.backtrail\n")
    async with editing(project, data) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        await editor.lens_saying("stats.py", "pytest|Not run|could not")
        told = [message.message for message in editor.client.messages]
        assert len(told) == 1 and str(project / "pyproject.toml") in told[0], told


async def test_a_python_that_is_not_there_is_said(project: Path, data: Path) -> None:
    async with editing(project, data, options={"python": "no/such/python"}) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        assert "no/such/python" in await editor.lens_saying("stats.py", "no/such/python")


async def test_a_command_with_wrong_arguments_is_refused_with_words(project: Path, data: Path) -> None:
    async with editing(project, data) as editor:
        for name, arguments in (
            ("backtrail.trace", []),
            ("backtrail.trace", ["untitled:x"]),
            ("backtrail.fix", [editor.uri("stats.py"), "first"]),
            ("backtrail.consent", [str(project), "maybe"]),
            ("backtrail.nonsense", []),
        ):
            with pytest.raises(Exception, match=r"needs|number|no command"):
                await editor.command(name, *arguments)
        nothing = await editor.command("backtrail.fix", editor.uri("stats.py"))
        assert nothing["found"] is False and "no recorded failure" in nothing["message"]


async def gone(processes: list[psutil.Process]) -> None:
    """The programs of a run are gone; the program that stands at its failure may stay."""
    for _ in range(100):
        if not [p for p in processes if p.is_running() and p.status() == psutil.STATUS_RUNNING]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"still running: {processes}")
