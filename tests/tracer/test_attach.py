"""A running web app is attached to under load, recorded for a while, and goes on."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from backtrail_tracer.attach import AttachError, Target, chosen, record
from backtrail_tracer.trace import Trace
from tests import pythons
from tests.tracer import apps
from tests.tracer.apps import App, library, running

NEEDS_MONITORING = pytest.mark.skipif(
    pythons.monitoring() is None, reason=f"no Python with sys.monitoring: {pythons.missing()} are missing"
)


def app_file(tmp_path: Path, source: str) -> Path:
    path = tmp_path / "app" / "app.py"
    path.parent.mkdir()
    path.write_text(dedent(source))
    return path


def packages(tmp_path: Path, *names: str) -> Path:
    found = library(tmp_path / "lib", ("debugpy", *names))
    if found is None:
        pytest.skip(f"one of {', '.join(names)} is not installed")
    return found


async def recorded(app: App, script: Path, seconds: float = 1.0) -> Trace:
    return await record(
        Target.parse(app.debugger), seconds, root=script.parent, files=chosen(script.parent, ["*.py"])
    )


def values(trace: Trace, path: Path, name: str) -> set[str]:
    """What a variable was, wherever a line of the file changed it."""
    hits = [hit for each in trace.lines(path).values() for hit in each]
    return {hit.changed[name].text for hit in hits if name in hit.changed}


@NEEDS_MONITORING
@pytest.mark.parametrize(
    ("source", "needs"),
    [(apps.PLAIN, ()), (apps.STARLETTE, apps.STARLETTE_NEEDS)],
    ids=["threads", "asyncio"],
)  # fmt: skip
async def test_a_web_app_under_load_is_recorded_and_goes_on(
    tmp_path: Path, source: str, needs: tuple[str, ...]
) -> None:
    script = app_file(tmp_path, source)
    python = pythons.monitoring()
    assert python is not None
    with running(python, script, packages(tmp_path, *needs)) as app, app.load():
        await asyncio.to_thread(app.wait_for, 10)
        for _ in range(2):  # nothing is left behind that would be in the way of a second time
            trace = await recorded(app, script)
            assert (trace.status, trace.loose_ends) == ("completed", ())
            assert list(trace.files) == [script]
            assert {"0", "1", "3", "6", "10"} <= values(trace, script, "total")
            returned = [f.result.text for f in trace.frames.values() if f.code.name == "price" and f.result]
            assert set(returned) == {"10"} and len(returned) > 1
            await asyncio.to_thread(app.wait_for, 10)
        assert app.wrong == [] and app.process.poll() is None


@NEEDS_MONITORING
async def test_it_goes_on_when_the_one_who_records_is_killed(tmp_path: Path) -> None:
    # In one thread: debugpy's adapter gets stuck when its client dies among events of new threads.
    script = app_file(tmp_path, apps.PLAIN.replace("ThreadingHTTPServer", "HTTPServer"))
    with running(str(pythons.monitoring()), script, packages(tmp_path)) as app, app.load():
        command = [sys.executable, "-m", "backtrail_server", "record", "--attach", app.debugger]
        recorder = subprocess.Popen([*command, "--seconds", "6", "--root", str(script.parent)])
        await asyncio.sleep(3)
        recorder.kill()
        recorder.wait()
        await asyncio.to_thread(app.wait_for, 10)
        async with asyncio.timeout(30):  # its own clock ends the first recording
            while True:
                try:
                    trace = await recorded(app, script)
                    break
                except AttachError:
                    await asyncio.sleep(0.5)
        assert trace.hits and app.wrong == []


@NEEDS_MONITORING
async def test_a_program_that_ends_meanwhile_leaves_its_trace(tmp_path: Path) -> None:
    script = app_file(tmp_path, apps.PLAIN)
    with running(str(pythons.monitoring()), script, packages(tmp_path)) as app:
        recording = asyncio.create_task(recorded(app, script, 60.0))
        await asyncio.sleep(5)
        assert not recording.done()
        app.process.kill()
        trace = await asyncio.wait_for(recording, 20)
        assert (trace.status, "ended while it was recorded" in trace.message) == ("died", True)


@NEEDS_MONITORING
def test_the_command_prints_the_chosen_files(tmp_path: Path) -> None:
    script = app_file(tmp_path, apps.PLAIN)
    with running(str(pythons.monitoring()), script, packages(tmp_path)) as app, app.load():
        command = [
            sys.executable,
            "-m",
            "backtrail_server",
            "record",
            "--attach",
            app.debugger,
            "--seconds",
            "1",
        ]
        done = subprocess.run(
            [*command, "--json", "--hits", "3", "--files", "app.py"],
            cwd=script.parent, capture_output=True, text=True, check=True,
        )  # fmt: skip
        lines = json.loads(done.stdout)["lines"][str(script)]
        assert len(lines["7"]) == 3
        shown = subprocess.run(command, cwd=script.parent, capture_output=True, text=True, check=True)
        assert "app.py" in shown.stdout and "total += each" in shown.stdout
        assert "debugpy/" not in shown.stdout
        refused = subprocess.run(
            [*command, "--files", "nothing*.py"],
            cwd=script.parent, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert refused.returncode == 2 and "no Python file" in refused.stdout


async def test_a_python_without_monitoring_is_refused_and_goes_on(tmp_path: Path) -> None:
    python = pythons.settrace()
    if python is None:
        pytest.skip(f"no Python without sys.monitoring: {pythons.missing()} are missing")
    script = app_file(tmp_path, apps.PLAIN)
    with running(python, script, packages(tmp_path)) as app, app.load():
        with pytest.raises(AttachError, match=r"takes Python 3\.12 or newer"):
            await recorded(app, script)
        await asyncio.to_thread(app.wait_for, 10)
        assert app.wrong == []


async def test_an_address_where_nothing_listens(tmp_path: Path) -> None:
    with pytest.raises(AttachError, match="Start the program with: python -m debugpy --listen"):
        await record(Target("127.0.0.1", 1), 1.0, root=tmp_path, files=[tmp_path])
    with pytest.raises(ValueError, match="no HOST:PORT"):
        Target.parse("nowhere")
    assert Target.parse("5678") == Target("127.0.0.1", 5678)
