"""Starting, watching and ending of processes, with commands of our own instead of the probe."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from pathlib import Path

import pytest

from backtrail_probe.wire import ProcessLimits
from backtrail_tracer.limits import Breach, Watch
from backtrail_tracer.program import Program
from tests.tracer.conftest import marked

SLEEP = "import time; time.sleep(60)"
ESCAPES = {
    "a child": "os.fork()",
    "a group of its own": "os.fork() or os.setpgid(0, 0)",
    "a session of its own": "os.fork() or os.setsid()",
    "a daemon": "os.fork() or (os.setsid(), os.fork() and os._exit(0))",
    "a child with a clean environment": "subprocess.Popen([sys.executable, '-c', code, folder], env={})",
}


async def start(code: str, folder: Path, **more: object) -> Program:
    """The folder is on the command line, so that the fixture finds what is left."""
    command = [sys.executable, "-c", code, str(folder)]
    return await Program.start(command, cwd=folder, environ=dict(os.environ), mark=uuid.uuid4().hex, **more)  # type: ignore[arg-type]


async def until(check: object, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not check() and time.monotonic() < deadline:  # type: ignore[operator]
        await asyncio.sleep(0.02)
    assert check()  # type: ignore[operator]


@pytest.mark.parametrize("how", ESCAPES)
async def test_no_child_gets_away(how: str, tmp_path: Path) -> None:
    code = (
        f"import os, sys, subprocess, time; code = {SLEEP!r}; folder = sys.argv[1]; {ESCAPES[how]}; {SLEEP}"
    )
    program = await start(code, tmp_path)
    await until(lambda: len(marked(str(tmp_path))) >= 2)
    program.tree.alive()  # as the watch does every few hundredths of a second
    await program.end()
    assert not marked(str(tmp_path))
    assert program.exit_code == -9


@pytest.mark.parametrize("how", [how for how in ESCAPES if "clean" not in how])
async def test_no_child_gets_away_from_a_parent_that_has_ended(how: str, tmp_path: Path) -> None:
    code = (
        f"import os, sys, subprocess, time\npid = os.getpid()\n{ESCAPES[how]}\nif os.getpid() != pid: {SLEEP}"
    )
    program = await start(code, tmp_path)
    assert await program.wait(10)
    await program.end()
    assert not marked(str(tmp_path))


async def test_the_pipes_that_a_grandchild_holds_keep_nobody(tmp_path: Path) -> None:
    code = "import os, time\nprint('said', flush=True)\nif os.fork() == 0: os.setsid(); time.sleep(60)"
    program = await start(code, tmp_path)
    assert await program.wait(10)
    started = time.monotonic()
    await program.end()
    assert time.monotonic() - started < 1
    assert program.stdout == "said\n"


async def test_all_output_of_a_program_that_ended_is_there(tmp_path: Path) -> None:
    program = await start(
        "import sys; sys.stdout.write('x' * 200_000); sys.stderr.write('e' * 70_000)", tmp_path
    )
    assert await program.wait(10)
    await program.end()
    assert (len(program.stdout), len(program.stderr)) == (200_000, 70_000)


async def test_output_beyond_the_limit_is_dropped_and_told(tmp_path: Path) -> None:
    program = await start("while True: print('x' * 100)", tmp_path, output_bytes=1000)
    assert await program.wait(10)
    assert program.overflowed and not program.has_exited
    await program.end()
    assert len(program.stdout) == 1000


async def test_ending_twice_is_ending_once(tmp_path: Path) -> None:
    program = await start(SLEEP, tmp_path)
    await program.end()
    await program.end()
    assert program.has_exited


async def breach(code: str, folder: Path, **limits: float) -> Breach:
    program = await start(code, folder)
    try:
        watch = Watch(program.tree, ProcessLimits(**{"wall_s": 20.0, **limits}))  # type: ignore[arg-type]
        while (found := watch.check()) is None:
            await asyncio.sleep(0.02)
        return found
    finally:
        await program.end()


@pytest.mark.parametrize(
    ("code", "limits", "status", "message"),
    [
        (SLEEP, {"wall_s": 0.3}, "timeout", "stopped after 0.3 s (limits.wallSeconds)"),
        (
            "while True: pass",
            {"cpu_s": 0.3},
            "timeout",
            "stopped after 0.3 s of CPU time (limits.cpuSeconds)",
        ),
        (
            f"x = bytearray(b'1') * 200_000_000; {SLEEP}",
            {"memory_bytes": 100 * 2**20},
            "killed",
            "ended because it used more than 100 MB of memory (limits.memoryMb)",
        ),
        (
            f"import os; os.fork(); os.fork(); {SLEEP}",
            {"processes": 2},
            "killed",
            "ended because it started more than 2 processes (limits.processes)",
        ),
        (
            f"import os; os.fork(); os.fork(); x = bytearray(b'1') * 40_000_000; {SLEEP}",
            {"memory_bytes": 120 * 2**20},
            "killed",
            "ended because it used more than 120 MB of memory (limits.memoryMb)",
        ),
    ],
)
async def test_limits(code: str, limits: dict[str, float], status: str, message: str, tmp_path: Path) -> None:
    assert await breach(code, tmp_path, **limits) == Breach(status, message)  # type: ignore[arg-type]


@pytest.mark.parametrize("turns", range(8), ids=lambda turns: f"after {turns} turns of the loop")
def test_a_start_that_is_cancelled_leaves_nothing_to_wait_for(turns: int, tmp_path: Path) -> None:
    """asyncio that is cancelled in the middle of a start waited for ever when its loop was closed."""

    async def cancelled() -> None:
        starting = asyncio.ensure_future(start(SLEEP, tmp_path))
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        (outcome,) = await asyncio.gather(starting, return_exceptions=True)
        if isinstance(outcome, Program):
            await outcome.end()

    asyncio.run(asyncio.wait_for(cancelled(), 20))
    deadline = time.monotonic() + 5
    while marked(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not marked(str(tmp_path))
