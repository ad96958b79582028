"""The warm parent: imports the test runner once, then forks for every request (see `wire.py`).

A forked child has the runner's modules and none of the user's. It is the leader of its own session,
so that the parent can end it with all that it started.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import time

from .constants import PYTEST
from .spec import read_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .wire import RunSpec


class _Job:
    """`life` is a descriptor that is readable when the child has gone."""

    def __init__(self, request: Dict[str, Any], pid: int, life: int) -> None:
        self.number = request["id"]
        self.pid = pid
        self.life = life
        self.started = time.monotonic()
        self.deadline = self.started + float(request["wall_s"])


def work(path: str) -> None:
    """Serves until stdin ends. Answers on the descriptor that BACKTRAIL_ANSWERS names, else on stdout."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    spec = read_spec(text)
    os.chdir(spec.cwd)
    answers = int(os.environ.pop("BACKTRAIL_ANSWERS", "1"))
    os.set_inheritable(answers, False)
    if not hasattr(os, "fork"):
        _answer(answers, {"ready": True, "fork": False})
        return
    _preload(spec)
    sys.dont_write_bytecode = True
    # What is imported by now never becomes garbage. Unfrozen, every child's collector would touch
    # all of it, and so copy all of its pages: that took half of a verification's time.
    gc.collect()
    gc.freeze()
    _Worker(text, answers).serve()


def _preload(spec: RunSpec) -> None:
    """A module that cannot be had is no reason to fail: the child will say what is missing."""
    from importlib import import_module

    names = ["backtrail_probe.start", "backtrail_probe.comparison"]
    if spec.kind == PYTEST:
        names += ["pytest", "backtrail_probe.entry.run_pytest", "backtrail_probe.entry.pytest_plugin"]
    for name in [*names, *spec.preload]:
        try:
            import_module(name)
        except Exception as error:
            sys.stderr.write(f"preload of {name} failed: {error}\n")


def _answer(descriptor: int, message: Dict[str, Any]) -> None:
    os.write(descriptor, (json.dumps(message) + "\n").encode())


class _Worker:
    def __init__(self, spec: str, answers: int) -> None:
        self._spec = json.loads(spec)
        self._answers = answers
        self._jobs: Dict[int, _Job] = {}
        self._buffer = b""
        self._open = True

    def serve(self) -> None:
        _answer(self._answers, {"ready": True, "fork": True})
        while self._open or self._jobs:
            inputs = [0] if self._open else []
            ready, _, _ = select.select([*inputs, *self._jobs], [], [], self._patience())
            for descriptor in ready:
                if descriptor == 0:
                    self._read()
                elif descriptor in self._jobs:
                    self._reap(self._jobs[descriptor])
            self._kill_late()

    def _patience(self) -> Optional[float]:
        """Seconds until the next deadline."""
        if not self._jobs:
            return None
        return max(0.0, min(job.deadline for job in self._jobs.values()) - time.monotonic())

    def _read(self) -> None:
        data = os.read(0, 65536)
        if not data:
            self._open = False
            for job in list(self._jobs.values()):
                self._end(job, "died")
            return
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            if line.strip():
                self._request(json.loads(line))

    def _request(self, request: Dict[str, Any]) -> None:
        if request.get("cancel"):
            for job in list(self._jobs.values()):
                if job.number == request["id"]:
                    self._end(job, "died")
            return
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _run_child(self._spec, request, [self._answers, reading, *self._jobs])
        os.close(writing)
        life = _life(pid, reading)
        self._jobs[life] = _Job(request, pid, life)

    def _reap(self, job: _Job) -> None:
        """The pipe closed: the child has gone, or it closed its descriptors and goes on."""
        if os.waitid(os.P_PID, job.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.001)
            return
        self._end(job, "done")

    def _kill_late(self) -> None:
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if now >= job.deadline:
                self._end(job, "timeout")

    def _end(self, job: _Job, status: str) -> None:
        """Ends the child's session, its own children too, and answers."""
        del self._jobs[job.life]
        os.close(job.life)
        for kill in (os.killpg, os.kill):
            try:
                kill(job.pid, signal.SIGKILL)
            except OSError:
                continue
        _, result = os.waitpid(job.pid, 0)
        code = os.waitstatus_to_exitcode(result)
        if status == "done" and code < 0:
            status = "died"
        seconds = round(time.monotonic() - job.started, 6)
        _answer(self._answers, {"id": job.number, "status": status, "exit": code, "seconds": seconds})


def _life(pid: int, pipe: int) -> int:
    """A process descriptor where the system has them. Else the read end of a pipe that the child holds
    open: that one is closed late when the child leaves children of its own behind."""
    if hasattr(os, "pidfd_open"):
        try:
            life = os.pidfd_open(pid)
        except OSError:
            return pipe
        os.close(pipe)
        return life
    return pipe


def _run_child(spec: Dict[str, Any], request: Dict[str, Any], foreign: List[int]) -> None:
    """Never returns. The child keeps its end of the pipe open, by which the parent can see it go."""
    code = 70
    try:
        os.setsid()
        for descriptor in foreign:
            os.close(descriptor)
        _silence()
        code = _run_request(spec, request)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        os._exit(code & 0xFF)


def _silence() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def _run_request(spec: Dict[str, Any], request: Dict[str, Any]) -> int:
    from .start import run_request

    fields = {name: request[name] for name in ("target", "overlay", "log") if name in request}
    merged = read_spec(json.dumps({**spec, **fields}))
    return run_request(merged, bool(request.get("stop_first")))
