"""Sessions on the interpreters that are found, and a look at what processes a test leaves behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.session import Session
from tests import pythons


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """With the interpreter of the tests, which has pytest, in an empty workspace."""
    return _session(Path(sys.executable), tmp_path)


@pytest.fixture(params=["settrace", "monitoring"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Session:
    """With a bare interpreter for each recorder, as far as there is one."""
    path = pythons.settrace() if request.param == "settrace" else pythons.monitoring()
    if path is None:
        pytest.skip(f"no interpreter for the {request.param} recorder: {pythons.missing()} are missing")
    return _session(Path(path), tmp_path)


def _session(python: Path, folder: Path) -> Session:
    root = folder / "ws"
    root.mkdir()
    # The first is what `marked` finds the processes of this test by; the second makes pytest start in a
    # third of the time, since the plugins that happen to be installed are not looked for.
    ours = {"FOLDER_OF_THE_TEST": str(root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environ = {**os.environ, **ours}
    return Session(Interpreter(python, "found by the tests"), root, environ=environ)


def marked(text: str) -> list[psutil.Process]:
    """Running processes that have `text` on their command line or in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            if text in " ".join(process.cmdline()) or text in " ".join(process.environ().values()):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path: Path) -> Iterator[None]:
    """No process that was started for this test may live on after it."""
    yield
    left = [process for process in marked(str(tmp_path)) if process.pid != psutil.Process().pid]
    for process in left:
        process.kill()
    assert not left
