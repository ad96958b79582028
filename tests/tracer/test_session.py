"""Runs of real programs under the real probe: whatever they do, a trace comes back and nothing is left."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from attrs import evolve

from backtrail_probe.wire import ProcessLimits
from backtrail_tracer.entries import Entry, NoEntry, discover
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.session import Session
from backtrail_tracer.trace import Item, Trace
from tests.tracer.conftest import marked
from tests.tracer.trees import fingerprint, write

STATS = """
    def mean(values):
        total = 0
        for value in values:
            total = total + value
        return total / len(values)
"""
TESTS = """
    from stats import mean

    def test_mean():
        assert mean([3, 5]) == 4

    def test_empty():
        assert mean([]) == 0
"""

PATIENT = ProcessLimits(wall_s=60.0)
"""For tests that are not about time: the machine may have other things to do."""


def entry_of(path: Path, root: Path) -> Entry:
    found = discover(path, root)
    assert not isinstance(found, NoEntry), found
    return found[0]


async def run_script(session: Session, source: str, **limits: float) -> Trace:
    """Runs a script; it has half a minute, unless `limits` say otherwise."""
    path = write(session.root, {"work.py": source}) / "work.py"
    entry = Entry("script:work.py", "script", (str(path),), (), session.root, "", "", (path,))
    process_limits = ProcessLimits(**{"wall_s": 30.0, **limits})  # type: ignore[arg-type]
    return (await session.run(entry, process_limits=process_limits)).trace


async def test_tests_that_pass_and_fail(session: Session) -> None:
    write(session.root, {"stats.py": STATS, "test_stats.py": TESTS})
    before = fingerprint(session.root)
    seen: list[Item] = []
    entry = entry_of(session.root / "stats.py", session.root)
    run = await session.run(entry, on_item=seen.append, process_limits=PATIENT)
    trace = run.trace
    assert run.stopped is None
    assert (trace.status, trace.exit_code) == ("failed", 1)
    assert [(item.name.split("::")[-1], item.outcome) for item in trace.items] == [
        ("test_mean", "passed"),
        ("test_empty", "failed"),
    ]
    assert [item.outcome for item in seen] == ["passed", "failed"]
    (failure,) = trace.failures
    assert failure.type == "ZeroDivisionError"
    assert failure.where is not None
    assert (failure.where.path, failure.where.line) == (session.root / "stats.py", 5)
    assert failure.where.locals["total"].text == "0"
    stats = trace.lines(session.root / "stats.py")
    assert [hit.changed["total"].text for hit in stats[4] if "total" in hit.changed] == ["3", "8"]
    assert trace.files.keys() >= {session.root / "stats.py", session.root / "test_stats.py"}
    assert trace.sources[session.root / "stats.py"] == (session.root / "stats.py").read_text()
    assert fingerprint(session.root) == before
    assert trace.loose_ends == ()


async def test_a_script_on_each_recorder(bare: Session) -> None:
    trace = await run_script(bare, "import sys\nx = 1\nprint('out', x)\nprint('err', file=sys.stderr)\n")
    assert (trace.status, trace.exit_code, trace.message) == ("completed", 0, "")
    assert (trace.stdout, trace.stderr) == ("out 1\n", "err\n")
    assert trace.recorder in ("monitoring", "settrace") and trace.reason
    assert set(trace.lines(bare.root / "work.py")) == {1, 2, 3, 4}
    assert trace.loose_ends == ()


async def test_an_exception_that_nobody_catches(bare: Session) -> None:
    trace = await run_script(bare, "def f(x):\n    return 1 / x\nf(0)\n")
    assert (trace.status, trace.exit_code) == ("failed", 1)
    (failure,) = trace.failures
    assert failure.where is not None and failure.where.line == 2
    assert "ZeroDivisionError" in trace.stderr


async def test_the_overlay_runs_and_the_file_stays(session: Session) -> None:
    write(session.root, {"stats.py": STATS, "test_stats.py": TESTS})
    before = fingerprint(session.root)
    fixed = STATS.replace("total / len(values)", "total / max(1, len(values))")
    import textwrap

    overlay = {session.root / "stats.py": textwrap.dedent(fixed)}
    entry = entry_of(session.root / "stats.py", session.root)
    trace = (await session.run(entry, overlay=overlay, process_limits=PATIENT)).trace
    assert trace.status == "completed"
    assert len(trace.passed_items) == 2
    assert trace.sources[session.root / "stats.py"] == textwrap.dedent(fixed)
    assert fingerprint(session.root) == before


async def test_an_endless_loop_ends_at_the_wall_limit(bare: Session) -> None:
    started = time.monotonic()
    trace = await run_script(bare, "n = 0\nwhile True:\n    n += 1\n", wall_s=1.0)
    assert time.monotonic() - started < 2.5
    assert trace.status == "timeout"
    assert trace.message.startswith("stopped after 1 s (limits.wallSeconds); last line run: work.py:")
    assert {2, 3} <= trace.lines(bare.root / "work.py").keys()


async def test_the_cpu_limit_covers_all_processes(session: Session) -> None:
    source = "import os\nos.fork()\nwhile True: pass\n"
    trace = await run_script(session, source, wall_s=20.0, cpu_s=1.0)
    assert trace.status == "timeout"
    assert "1 s of CPU time (limits.cpuSeconds)" in trace.message


async def test_printing_without_end(bare: Session) -> None:
    trace = await run_script(bare, "while True:\n    print('x' * 1000)\n", output_bytes=100_000)
    assert trace.status == "killed"
    assert trace.message.startswith("ended because it printed more than 97.7 KB (limits.outputKb)")
    assert len(trace.stdout) == 100_000


async def test_a_program_that_ends_itself(bare: Session) -> None:
    trace = await run_script(bare, "import os\nx = 5\nos._exit(3)\n")
    assert (trace.status, trace.exit_code) == ("died", 3)
    assert "exit status 3" in trace.message and "work.py:3" in trace.message
    assert trace.lines(bare.root / "work.py").keys() == {1, 2, 3}


async def test_a_program_that_kills_itself(bare: Session) -> None:
    trace = await run_script(bare, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert (trace.status, trace.exit_code) == ("died", -9)
    assert "SIGKILL" in trace.message


async def test_allocating_without_end(session: Session) -> None:
    source = "kept = []\nwhile True:\n    kept.append(bytearray(10_000_000))\n"
    trace = await run_script(session, source, memory_bytes=300 * 1024 * 1024, wall_s=20.0)
    # From inside it is a MemoryError, where the system has such a limit; else it is ended from outside.
    assert trace.status in ("killed", "failed")
    assert trace.status == "failed" or "(limits.memoryMb)" in trace.message
    assert trace.status == "killed" or trace.failures[0].type == "MemoryError"


async def test_a_fork_bomb(session: Session) -> None:
    source = "import os, time\nwhile True:\n    os.fork()\n    time.sleep(0.02)\n"
    trace = await run_script(session, source, processes=8)
    assert trace.status in ("killed", "failed", "stopped")
    assert trace.status != "killed" or "8 processes (limits.processes)" in trace.message


async def test_what_child_processes_run_is_in_the_trace(bare: Session) -> None:
    """In the sandbox, where there is one, as without it."""
    source = """
        import multiprocessing, subprocess, sys
        def square(n):
            return n * n
        if sys.argv[1:]:
            square(9)
        elif __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                pool.map(square, [2])
            with multiprocessing.get_context("fork").Pool(1) as pool:
                pool.map(square, [3])
            subprocess.run([sys.executable, __file__, "child"])
    """
    for mode in ("auto", "off"):
        trace = await run_script(evolve(bare, allow=["subprocess"], sandbox=mode), source)  # type: ignore[arg-type]
        assert (trace.status, trace.limits, trace.loose_ends) == ("completed", (), ()), trace.stderr
        squares = [frame for frame in trace.frames.values() if frame.code.name == "square"]
        assert sorted(frame.result.text for frame in squares if frame.result) == ["4", "81", "9"]
        assert len({frame.process for frame in squares} - {0}) == 3


async def test_a_child_that_hangs_is_ended_and_told_to_its_last_line(bare: Session) -> None:
    source = """
        import os, time
        if os.fork() == 0:
            told = 1
            time.sleep(60)
        os.wait()
    """
    trace = await run_script(bare, source, wall_s=2.0)
    assert trace.status == "timeout"
    (told,) = [hit for hit in trace.hits if "told" in hit.changed]
    assert trace.frames[told.frame].process == 1
    assert 4 in {hit.line for hit in trace.hits if trace.frames[hit.frame].process == 1}


async def test_stdin_is_empty(bare: Session) -> None:
    trace = await run_script(bare, "import sys\nprint(repr(sys.stdin.read()))\ninput()\n")
    assert trace.stdout == "''\n"
    assert trace.failures[0].type == "EOFError"


async def test_deleting_a_file_of_the_workspace_is_blocked(session: Session) -> None:
    write(session.root, {"precious.txt": "keep"})
    trace = await run_script(session, "import os\nos.remove('precious.txt')\n")
    assert (session.root / "precious.txt").read_text() == "keep"
    assert trace.status in ("stopped", "failed")
    (effect,) = trace.side_effects
    assert (effect.allowed, effect.line, effect.path) == (False, 2, session.root / "work.py")
    assert "precious.txt" in effect.detail


async def test_without_guard_and_sandbox_the_program_may_do_as_it_likes(session: Session) -> None:
    write(session.root, {"precious.txt": "keep"})
    free = evolve(session, guard=False, sandbox="off")
    trace = await run_script(free, "import os\nos.remove('precious.txt')\n")
    assert trace.status == "completed"
    assert not (session.root / "precious.txt").exists()


async def test_temporary_files_may_be_written_and_are_removed(session: Session) -> None:
    source = """
        import tempfile, os
        kept = tempfile.mkdtemp()
        open(os.path.join(kept, "file"), "w").write("x")
        os.chmod(kept, 0)
        print(kept)
    """
    trace = await run_script(session, source)
    assert trace.status == "completed", trace
    assert "backtrail-" in trace.stdout
    assert not Path(trace.stdout.strip()).exists()


async def test_the_scratch_folder_is_private_and_our_variables_are_ours(session: Session) -> None:
    secretive = Session(
        session.interpreter, session.root, environ={**session.environ, "BACKTRAIL_TOKEN": "x", "MINE": "kept"}
    )
    source = """
        import os, stat, tempfile
        folder = os.path.dirname(tempfile.gettempdir())
        print(oct(stat.S_IMODE(os.stat(folder).st_mode)), "BACKTRAIL_TOKEN" in os.environ, os.environ["MINE"])
    """
    trace = await run_script(secretive, source)
    assert trace.stdout == "0o700 False kept\n"


DAEMON = """
    import os, sys, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            {extra}
            time.sleep(60)
        os._exit(0)
    time.sleep({wait})
"""


@pytest.mark.parametrize("wait", [0, 0.5])
async def test_a_daemon_does_not_get_away(wait: float, session: Session) -> None:
    source = DAEMON.format(extra="os.chdir('/')", wait=wait)
    started = time.monotonic()
    trace = await run_script(session, source)
    assert time.monotonic() - started < 20, "a daemon that keeps the pipes open must not keep us"
    assert trace.status == "completed"
    assert not marked(str(session.root))


async def test_a_program_that_ignores_signals_ends_all_the_same(session: Session) -> None:
    source = """
        import signal, time
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(1)
    """
    trace = await run_script(session, source, wall_s=1.0)
    assert trace.status == "timeout"


async def test_cancelling_kills_everything_and_is_raised(session: Session) -> None:
    source = "import os, time\nos.fork()\nopen(os.environ['TMPDIR'] + '/x', 'w')\ntime.sleep(60)\n"
    task = asyncio.create_task(run_script(session, source, wall_s=60.0))
    deadline = time.monotonic() + 10
    while len(marked(str(session.root))) < 2 and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert len(marked(str(session.root))) >= 2
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 1
    assert not marked(str(session.root))


@pytest.mark.parametrize("delay", [0.0, 0.002, 0.01, 0.03])
async def test_cancelling_at_any_moment_leaves_nothing(delay: float, session: Session) -> None:
    task = asyncio.create_task(run_script(session, "import time\ntime.sleep(60)\n"))
    await asyncio.sleep(delay)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.2)
    assert not marked(str(session.root))


async def test_an_interpreter_that_is_not_there(session: Session) -> None:
    lost = Session(Interpreter(session.root / "python", "a test"), session.root)
    trace = await run_script(lost, "x = 1\n")
    assert trace.status == "usage"
    assert "cannot be started" in trace.message and "`python`" in trace.message


async def test_output_is_told_while_it_comes(session: Session) -> None:
    path = write(session.root, {"work.py": "print('hello')\n"}) / "work.py"
    heard: list[str] = []
    entry = Entry("script:work.py", "script", (str(path),), (), session.root, "", "", (path,))
    await session.run(entry, on_output=heard.append)
    assert "".join(heard) == "hello\n"


async def test_two_runs_at_once_do_not_mix(session: Session) -> None:
    paths = [write(session.root, {f"w{n}.py": f"print({n})\n"}) / f"w{n}.py" for n in range(2)]
    entries = [Entry(f"script:{p.name}", "script", (str(p),), (), session.root, "", "", (p,)) for p in paths]
    runs = await asyncio.gather(*(session.run(entry) for entry in entries))
    assert [run.trace.stdout for run in runs] == ["0\n", "1\n"]
    assert [list(run.trace.files) for run in runs] == [[path] for path in paths]


async def test_nothing_is_recorded_when_not_asked_for(session: Session) -> None:
    write(session.root, {"stats.py": STATS, "test_stats.py": TESTS})
    entry = entry_of(session.root / "stats.py", session.root)
    run = await session.run(entry, record=False, process_limits=PATIENT)
    assert run.trace.hits == ()
    assert [item.outcome for item in run.trace.items] == ["passed", "failed"]
