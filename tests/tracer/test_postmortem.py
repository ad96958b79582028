"""A failing program stands still under debugpy, answers what is asked of it, and goes away with us."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from backtrail_probe.wire import ProcessLimits
from backtrail_tracer.dap import DapError
from backtrail_tracer.entries import Entry
from backtrail_tracer.postmortem import Refused, StoppedProgram
from backtrail_tracer.session import Run, Session
from tests.tracer.conftest import marked
from tests.tracer.trees import write

SCRIPT = """
    class Point:
        ran = []
        def __init__(self, x):
            self.x = x
            self.by_name = {"a": {"b": x}}
        @property
        def slow(self):
            import time
            time.sleep(30)
        @property
        def noisy(self):
            self.ran.append("noisy")
        def __getattr__(self, name):
            self.ran.append(name)
        def __eq__(self, other):
            self.ran.append("==")
        def __repr__(self):
            self.ran.append("repr")

    class Colour(__import__("enum").Enum):
        RED = 1

    def inner(values, point, colour=Colour.RED):
        return values[3]

    def outer():
        point = Point(7)
        return inner([1, 2, 3], point)

    outer()
"""


async def start(session: Session, source: str = SCRIPT, **limits: float) -> Run:
    path = write(session.root, {"work.py": source}) / "work.py"
    entry = Entry("script:work.py", "script", (str(path),), (), session.root, "", "", (path,))
    process_limits = ProcessLimits(**{"wall_s": 60.0, **limits})  # type: ignore[arg-type]
    return await session.run(entry, postmortem=True, process_limits=process_limits)


async def stopped_program(session: Session, source: str = SCRIPT) -> StoppedProgram:
    run = await start(session, source)
    assert run.trace.status == "failed", run.trace
    assert run.stopped is not None
    return run.stopped


async def test_frames_scopes_and_values(bare: Session) -> None:
    stopped = await stopped_program(bare)
    try:
        frames = await stopped.frames()
        assert [frame.name for frame in frames][:3] == ["inner", "outer", "<module>"]
        assert (frames[0].path, frames[0].line) == (bare.root / "work.py", 24)
        scopes = await stopped.scopes(frames[0])
        assert scopes["Locals"]["values"].text == "[1, 2, 3]"
        value = await stopped.evaluate("values[1]", frames[0])
        assert (value.type, value.text) == ("int", "2")
        assert (await stopped.evaluate("point.x", frames[1])).text == "7"
        with pytest.raises(DapError, match="NameError"):
            await stopped.evaluate("nobody", frames[0])
    finally:
        await stopped.close()
    assert not stopped.is_alive
    assert not marked(str(bare.root))


REFUSED = {
    "len(values)": "could run code",
    "point.slow": "`Point.slow` is a property",
    "point.nobody": "has a `__getattr__`",
    "point == 1": "an operator of Point",
    "point[0]": "Point has no lookup",
    "[point for point in values]": "could run code",
    "values.append(1)": "could run code",
}


async def test_what_could_run_code_is_refused_unless_asked_for(bare: Session) -> None:
    stopped = await stopped_program(bare)
    try:
        (frame, *_) = await stopped.frames()
        for expression, reason in REFUSED.items():
            with pytest.raises(Refused, match=reason):
                await stopped.evaluate(expression, frame)
        for expression, text in {
            "point": "Point(x=7, by_name={'a': {'b': 7}})",
            "point.by_name['a']['b']": "7",
            "values[-1] + 1": "4",
            "colour.RED": "<Colour.RED: 1>",
            "values[:2]": "[1, 2]",
        }.items():
            assert (await stopped.evaluate(expression, frame)).text == text
        assert (await stopped.evaluate("point.ran", frame)).text == "[]"
        assert (await stopped.evaluate("len(values)", frame, asked_for=True)).text == "3"
        inside = await stopped.evaluate("[each + values[0] for each in values]", frame, asked_for=True)
        assert inside.text == "[2, 3, 4]"
        await stopped.evaluate("point.noisy", frame, asked_for=True)
        assert (await stopped.evaluate("Point.ran", frame)).text == "['noisy']"
    finally:
        await stopped.close()


async def test_what_takes_too_long_is_interrupted_and_the_program_still_answers(session: Session) -> None:
    stopped = await stopped_program(session)
    try:
        (frame, *_) = await stopped.frames()
        asked = asyncio.create_task(stopped.evaluate("point.slow", frame, asked_for=True))
        await asyncio.sleep(0.5)
        assert (await stopped.evaluate("values[0]", frame)).text == "1"
        with pytest.raises(DapError, match="took longer than 4 s"):
            await asked
        assert (await stopped.evaluate("len(values)", frame, asked_for=True)).text == "3"
    finally:
        await stopped.close()


async def test_the_guard_watches_what_is_asked_for(session: Session) -> None:
    session.sandbox = "off"
    stopped = await stopped_program(session)
    try:
        (frame, *_) = await stopped.frames()
        with pytest.raises(DapError, match=r"not allowed|blocked"):
            await stopped.evaluate(f"open({str(session.root / 'new.txt')!r}, 'w')", frame, asked_for=True)
        assert not (session.root / "new.txt").exists()
    finally:
        await stopped.close()


async def test_secrets_are_hidden(session: Session) -> None:
    secret = "sk-" + "a8Bq2Zr9Lm4Xw7Pd1Vn6" * 2
    stopped = await stopped_program(session, f'key = "{secret}"\nraise ValueError\n')
    try:
        (frame, *_) = await stopped.frames()
        for asked_for in (False, True):
            value = await stopped.evaluate("key", frame, asked_for=asked_for)
            assert value.redacted and secret not in value.text
    finally:
        await stopped.close()


async def test_it_stops_inside_a_test(session: Session) -> None:
    source = "def test_a():\n    left = 3\n    assert left == 4\n"
    path = write(session.root, {"test_a.py": source}) / "test_a.py"
    entry = Entry("pytest:test_a.py", "pytest", (str(path),), (), session.root, "", "", (path,))
    run = await session.run(entry, postmortem=True, process_limits=ProcessLimits(wall_s=60.0))
    assert run.stopped is not None
    try:
        frames = await run.stopped.frames()
        own = next(frame for frame in frames if frame.path == path)
        assert own.line == 3
        assert (await run.stopped.evaluate("left", own)).text == "3"
    finally:
        await run.stopped.close()


async def test_the_trace_does_not_wait_for_the_debugger(session: Session) -> None:
    await start(session, "x = 1\n")
    started = time.monotonic()
    plain = await start(session, "raise SystemExit(3)\n")
    taken = time.monotonic() - started
    if plain.stopped:
        await plain.stopped.close()
    started = time.monotonic()
    stopped = await stopped_program(session)
    assert time.monotonic() - started < taken + 0.6
    await stopped.frames()
    await stopped.close()


async def test_a_program_that_does_not_fail_starts_no_adapter(session: Session) -> None:
    run = await start(session, "x = 1\n")
    assert (run.trace.status, run.stopped) == ("completed", None)


async def test_a_program_that_loops_is_ended_as_ever(session: Session) -> None:
    run = await start(session, "while True: pass\n", wall_s=1.0)
    assert (run.trace.status, run.stopped) == ("timeout", None)


async def test_closing_at_once_leaves_nothing(session: Session) -> None:
    stopped = await stopped_program(session)
    await stopped.close()
    await stopped.close()
    with pytest.raises(DapError, match="has ended"):
        await stopped.frames()
    assert not marked(str(session.root))


async def test_a_time_limit_ends_it(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backtrail_tracer.postmortem.KEPT_S", 0.5)
    stopped = await stopped_program(session)
    released = asyncio.Event()
    stopped.on_released = released.set
    await asyncio.wait_for(released.wait(), 20)
    assert not stopped.is_alive
    await stopped.close()
    assert not marked(str(session.root))


SERVER = """
    import asyncio, sys
    from pathlib import Path
    from backtrail_tracer.entries import Entry
    from backtrail_tracer.interpreter import Interpreter
    from backtrail_tracer.session import Session

    async def main():
        root = Path(sys.argv[1])
        session = Session(Interpreter(Path(sys.executable), "a test"), root)
        path = root / "work.py"
        entry = Entry("script:work.py", "script", (str(path),), (), root, "", "", (path,))
        run = await session.run(entry, postmortem=True)
        await run.stopped.frames()
        print("stopped", flush=True)
        await asyncio.sleep(60)

    asyncio.run(main())
"""


def test_it_goes_away_when_the_server_is_killed(session: Session) -> None:
    write(session.root, {"work.py": SCRIPT})
    server = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER), str(session.root)],
        env=dict(session.environ),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "stopped\n"
    assert len(marked(str(session.root))) >= 2
    server.send_signal(signal.SIGKILL)
    server.wait()
    deadline = time.monotonic() + 10
    while marked(str(session.root)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not marked(str(session.root))
    server.stdout.close()
