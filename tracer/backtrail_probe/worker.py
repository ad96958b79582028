"""The warm parent: imports the test runner once, then forks for every request (see `wire.py`).

A forked child has the runner's modules and none of the user's. Where many candidates for one file
are to be run, a stage (see `stage.py`) is prepared for them, and they are forked from that.
"""

from __future__ import annotations

import gc
import json
import os
import sys

from .constants import PYTEST
from .forks import Forks, ended, life_of, limit_cpu, silence
from .spec import read_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from .wire import RunSpec

_NOT_STARTED = 70


def work(path: str) -> None:
    """Serves until stdin ends. Answers on the descriptor that BACKTRAIL_ANSWERS names, else on stdout."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    spec = read_spec(text)
    os.chdir(spec.cwd)
    answers = int(os.environ.pop("BACKTRAIL_ANSWERS", "1"))
    os.set_inheritable(answers, False)
    forks = Forks(0, answers)
    if not hasattr(os, "fork"):
        forks.answer({"ready": True, "fork": False})
        return
    _preload(spec)
    sys.dont_write_bytecode = True
    # What is imported by now never becomes garbage. Unfrozen, every child's collector would touch
    # all of it, and so copy all of its pages: that took half of a verification's time.
    gc.collect()
    gc.freeze()
    _Worker(text, forks, answers).serve()


def _preload(spec: RunSpec) -> None:
    """A module that cannot be had is no reason to fail: the child will say what is missing."""
    from importlib import import_module

    names = ["backtrail_probe.start", "backtrail_probe.comparison", "backtrail_probe.stage"]
    if spec.kind == PYTEST:
        names += ["pytest", "backtrail_probe.entry.run_pytest", "backtrail_probe.entry.pytest_plugin"]
    for name in [*names, *spec.preload]:
        try:
            import_module(name)
        except Exception as error:
            sys.stderr.write(f"preload of {name} failed: {error}\n")


class _Stage:
    """A prepared child, as the parent sees it: `inbox` is where its requests are written to."""

    def __init__(self, pid: int, inbox: int) -> None:
        self.pid = pid
        self.inbox = inbox


class _Worker:
    def __init__(self, spec: str, forks: Forks, answers: int) -> None:
        self._spec = json.loads(spec)
        self._forks = forks
        self._answers = answers
        self._stages: Dict[int, _Stage] = {}

    def serve(self) -> None:
        self._forks.answer({"ready": True, "fork": True})
        self._forks.serve(self._handle)
        for number in list(self._stages):
            self._leave(number)

    def _handle(self, request: Dict[str, Any]) -> bool:
        """Children never come back from here: they leave by `os._exit`."""
        if request.get("cancel"):
            self._cancel(request)
        elif request.get("leave"):
            self._leave(request["id"])
        elif request.get("prepare"):
            self._prepare(request)
        elif request.get("stage") is not None:
            self._forward(request)
        elif self._forks.fork(request):
            self._close_stages()
            _leave_with(lambda: _run_request(self._spec, request))
        return False

    def _cancel(self, request: Dict[str, Any]) -> None:
        if not self._forks.cancel(request["id"]):
            for number in list(self._stages):
                self._write(number, request)

    def _prepare(self, request: Dict[str, Any]) -> None:
        """The stage itself answers, "staged" or not, once it has come to its point."""
        inbox, outbox = os.pipe()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            for descriptor in (outbox, reading):
                os.close(descriptor)
            self._close_stages()
            _leave_with(lambda: _run_stage(self._spec, request, inbox, self._answers))
        for descriptor in (inbox, writing):
            os.close(descriptor)
        number = request["id"]
        self._stages[number] = _Stage(pid, outbox)
        self._forks.watch(life_of(pid, reading), lambda: self._gone(number))

    def _forward(self, request: Dict[str, Any]) -> None:
        if request["stage"] in self._stages:
            self._write(request["stage"], request)
        else:
            self._forks.answer({"id": request["id"], "status": "unstaged"})

    def _write(self, number: int, request: Dict[str, Any]) -> None:
        data = (json.dumps(request) + "\n").encode()
        try:
            while data:
                data = data[os.write(self._stages[number].inbox, data) :]
        except OSError:
            pass  # it has gone: that is seen, and told, in a moment

    def _gone(self, number: int) -> None:
        """A stage that ended by itself. Whoever waits for it is told."""
        self._forks.answer({"stage": number, "status": "gone"})
        self._leave(number)

    def _leave(self, number: int) -> None:
        """A stage sees its inbox close and ends its children, which a signal would not let it do."""
        stage = self._stages.pop(number, None)
        if stage is None:
            return
        os.close(stage.inbox)
        _give_time(stage.pid)
        ended(stage.pid)

    def _close_stages(self) -> None:
        """In a child: an inbox that it held open would never be seen to close."""
        for stage in self._stages.values():
            os.close(stage.inbox)


def _give_time(pid: int) -> None:
    import time

    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.002)


def _leave_with(run: Any) -> None:
    """Never returns. The child keeps its end of a pipe open, by which the parent can see it go."""
    code = _NOT_STARTED
    try:
        silence()
        code = run()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        os._exit(code & 0xFF)


def _run_request(spec: Dict[str, Any], request: Dict[str, Any]) -> int:
    from .start import run_request

    limit_cpu(request.get("cpu_s"))
    return run_request(_merged(spec, request), bool(request.get("stop_first")))


def _run_stage(spec: Dict[str, Any], request: Dict[str, Any], inbox: int, answers: int) -> int:
    from .stage import run_stage

    return run_stage(_merged(spec, request), request, inbox, answers)


def _merged(spec: Dict[str, Any], request: Dict[str, Any]) -> RunSpec:
    fields = {name: request[name] for name in ("target", "overlay", "log") if name in request}
    return read_spec(json.dumps({**spec, **fields}))
