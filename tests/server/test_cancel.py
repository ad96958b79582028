"""Whatever cancels a job kills the program, and nothing is left when the server has gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest
from lsprotocol import types

from tests.server.conftest import make_project
from tests.server.editor import Editor, editing

ENDLESS = """\
import subprocess, sys, time

def test_forever():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    while True:
        time.sleep(0.01)
"""
LONG = {"limits": {"wallSeconds": 60, "cpuSeconds": 60}, "guard": {"allow": ["subprocess"]}}


def endless(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project", {"test_forever.py": ENDLESS})


async def programs(editor: Editor) -> list[psutil.Process]:
    """The user's program and its child, once both run."""
    for _ in range(600):
        found = [p for p in editor.children() if "sleep(600)" in " ".join(_command(p))]
        if found:
            return editor.children()
        await asyncio.sleep(0.05)
    raise AssertionError(f"the program did not start: {editor.children()}, {editor.client.messages}")


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


async def all_gone(processes: list[psutil.Process], wait_s: float = 5.0) -> None:
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, wait_s)
    assert not alive, f"still there: {[(p, _command(p)) for p in alive]}"


async def test_cancelling_the_request_kills_the_program(tmp_path: Path, data: Path) -> None:
    async with editing(endless(tmp_path), data, options=LONG) as editor:
        editor.open("test_forever.py")
        params = types.ExecuteCommandParams("backtrail.trace", [editor.uri("test_forever.py")])
        request = editor.client.protocol.send_request_async(types.WORKSPACE_EXECUTE_COMMAND, params, "mine")
        waiting = asyncio.ensure_future(request)
        running = await programs(editor)
        editor.client.cancel_request(types.CancelParams("mine"))
        with pytest.raises(Exception, match="cancel"):
            await waiting
        await all_gone(running)
        assert "cancelled" in await editor.lens_saying("test_forever.py", "cancelled")


async def test_cancelling_the_progress_kills_the_program(tmp_path: Path, data: Path) -> None:
    async with editing(endless(tmp_path), data, options=LONG) as editor:
        editor.open("test_forever.py")
        editor.save("test_forever.py")
        running = await programs(editor)
        (token,) = editor.client.progress_reports
        editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
        await all_gone(running)
        assert "by you" in await editor.lens_saying("test_forever.py", "cancelled")
        reports = editor.client.progress_reports[token]
        assert isinstance(reports[0], types.WorkDoneProgressBegin) and reports[0].cancellable
        assert isinstance(reports[-1], types.WorkDoneProgressEnd)


async def test_a_newer_save_replaces_the_run(tmp_path: Path, data: Path) -> None:
    async with editing(endless(tmp_path), data, options=LONG) as editor:
        editor.open("test_forever.py")
        editor.save("test_forever.py")
        running = await programs(editor)
        editor.write("test_forever.py", "def test_now():\n    answer = 42\n    assert answer\n")
        assert await editor.lens_saying("test_forever.py", "^passed")
        await all_gone(running)


async def test_a_clients_own_token_is_used_for_the_progress_of_its_command(project: Path, data: Path) -> None:
    async with editing(project, data) as editor:
        editor.client.progress_reports["mine"] = []
        answer = await editor.command("backtrail.trace", editor.uri("stats.py"), token="mine")
        assert answer["started"] is True and "1 passed, 1 failed" in answer["reason"]
        kinds = [type(report) for report in editor.client.progress_reports["mine"]]
        assert kinds[0] is types.WorkDoneProgressBegin and kinds[-1] is types.WorkDoneProgressEnd
        assert set(editor.client.progress_reports) == {"mine"}


async def test_shutdown_leaves_no_process(tmp_path: Path, data: Path) -> None:
    async with editing(endless(tmp_path), data, options=LONG) as editor:
        editor.open("test_forever.py")
        editor.save("test_forever.py")
        processes = [editor.process, *await programs(editor)]
    await all_gone(processes)


@pytest.mark.parametrize("how", ["end of input", "terminated"])
async def test_a_server_whose_editor_vanished_goes_too(project: Path, data: Path, how: str) -> None:
    """The failed program stands still for hover; without an editor nobody would ever end it."""
    async with editing(project, data) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        await editor.failure("test_stats.py")
        processes = [editor.process, *editor.children()]
        assert len(processes) > 1
        if how == "terminated":
            editor.process.terminate()
        editor.vanish()
        await all_gone(processes, 15)
