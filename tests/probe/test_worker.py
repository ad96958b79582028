"""The warm worker: forks for each request, keeps nothing of the user's, and ends what takes too long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.probe.harness import LAUNCH, make_spec, read_log, write_files

FILES = {
    "lib.py": "def f():\n    return 0\n",
    "test_it.py": """
        import lib, time
        def test_fast(): assert lib.f() == 1
        def test_other(): assert lib.f() == 1
        def test_slow(): time.sleep(30)
        def test_deserter():
            import os
            if os.fork() == 0:
                time.sleep(30)
            os._exit(9)
    """,
}


class Worker:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_files(folder, FILES)
        spec = make_spec(folder, "pytest", "test_it.py", record=False)
        self.scratch = spec.parent
        reading, writing = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, str(LAUNCH), "--worker", str(spec)], cwd=folder, stdin=subprocess.PIPE,
            pass_fds=[writing],
            # Without the plugins that happen to be installed, whose import every child would pay.
            env={**os.environ, "BACKTRAIL_ANSWERS": str(writing), "TMPDIR": str(self.scratch),
                 "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        )  # fmt: skip
        os.close(writing)
        self.answers = os.fdopen(reading)

    def ask(self, number: int, test: str, source: str = "", wall_s: float = 20, **more: Any) -> Path:
        log = self.scratch / f"log{number}"
        overlay = {str(self.folder / "lib.py"): source} if source else {}
        request = {
            "id": number,
            "target": [f"test_it.py::{test}"] if test else ["test_it.py"],
            "overlay": overlay,
        }
        self.send({**request, "wall_s": wall_s, "log": str(log), **more})
        return log

    def send(self, request: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        return dict(json.loads(self.answers.readline()))


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path / "project")
    assert worker.answer() == {"ready": True, "fork": True}
    yield worker
    worker.process.stdin.close()  # type: ignore[union-attr]
    assert worker.process.wait(timeout=10) == 0
    worker.answers.close()


def outcomes(log: Path) -> list[str]:
    return [record[2] for record in read_log(log) if record[0] == "done"]


def test_each_request_has_its_own_overlay(worker: Worker) -> None:
    logs = [worker.ask(n, "test_fast", f"def f():\n    return {n}\n") for n in range(4)]
    answers = [worker.answer() for _ in range(4)]
    assert {answer["status"] for answer in answers} == {"done"}
    assert {answer["id"]: answer["exit"] for answer in answers} == {0: 1, 1: 0, 2: 1, 3: 1}
    assert [outcomes(log) for log in logs] == [["failed"], ["passed"], ["failed"], ["failed"]]
    assert [read_log(log)[-1][1]["status"] for log in logs] == ["failed", "completed", "failed", "failed"]


def test_stops_at_the_first_failure(worker: Worker) -> None:
    log = worker.ask(1, "", stop_first=True)
    assert worker.answer()["status"] == "done"
    assert outcomes(log) == ["failed"]


def test_a_request_over_its_time_is_killed_and_others_go_on(worker: Worker) -> None:
    begun = time.monotonic()
    worker.ask(1, "test_slow", wall_s=6.0)
    worker.ask(2, "test_fast", "def f():\n    return 1\n")
    assert worker.answer()["id"] == 2
    late = worker.answer()
    assert (late["id"], late["status"]) == (1, "timeout")
    assert time.monotonic() - begun < 15


def test_cancel_and_a_child_that_dies(worker: Worker) -> None:
    worker.ask(1, "test_slow")
    time.sleep(0.3)
    worker.send({"id": 1, "cancel": True})
    assert worker.answer()["id"] == 1
    begun = time.monotonic()
    worker.ask(2, "test_deserter")
    answer = worker.answer()
    assert (answer["id"], answer["exit"]) == (2, 9)
    assert time.monotonic() - begun < 8, "the child's own child must not be waited for"


def test_closing_stdin_ends_all(worker: Worker) -> None:
    worker.ask(1, "test_slow")
    time.sleep(0.3)
    worker.process.stdin.close()  # type: ignore[union-attr]
    assert worker.process.wait(timeout=5) == 0
