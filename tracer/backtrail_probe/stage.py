"""A stage: the entry run up to the point where the candidates' file is first read, and held there.

Up to that point nothing can depend on the text of the file, so every candidate may be forked there and
go on with its own text: the runner has been configured, conftest files and what they import are
loaded, and the test module is rewritten. The result is the same as that of a whole run.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

from .forks import Forks, limit_cpu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from .start import Setup
    from .wire import RunSpec

_OUT_OF_THE_WAY = 100


class Stage:
    """`arrive` is called at the point, and returns in the candidates only."""

    def __init__(self, setup: Setup, number: int, inbox: int, answers: int) -> None:
        self._setup = setup
        self._number = number
        self._forks = Forks(_high(inbox), _high(answers))
        self._request: Dict[str, Any] = {}
        self._arrived = False

    def arrive(self) -> None:
        reason = _why_not()
        if reason:
            self.tell("unstaged", reason)
            os._exit(0)
        self._arrived = True
        setup = self._setup
        setup.staging = True
        if setup.guard is not None:
            setup.guard.suspended = True
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)  # a test's alarm is not for those who wait
        gc.collect()
        gc.freeze()
        generator = _random_state()
        self.tell("staged")
        if not self._forks.serve(self._handle):
            os._exit(0)
        _restore_random(generator)
        self._go_on()

    def tell(self, status: str, reason: str = "") -> None:
        self._forks.answer({"id": self._number, "status": status, "reason": reason})

    def missed(self) -> None:
        """The run has ended and the file was never read."""
        if not self._arrived:
            self.tell("unstaged", "the file is not loaded by what runs")

    def _handle(self, request: Dict[str, Any]) -> bool:
        if request.get("cancel"):
            self._forks.cancel(request["id"])
            return False
        self._request = request
        return self._forks.fork(request)

    def _go_on(self) -> None:
        """In a candidate: its own log, its own text, and the guard awake."""
        setup, request = self._setup, self._request
        setup.log.move(request["log"])
        setup.report.go_on()
        setup.overlay.replace(request["overlay"])
        for text in request["overlay"].values():
            setup.report.learn(text)
        setup.staging = False
        limit_cpu(request.get("cpu_s"))
        if setup.guard is not None:
            setup.guard.suspended = False


def run_stage(spec: RunSpec, request: Dict[str, Any], inbox: int, answers: int) -> int:
    """Runs the entry; returns in the candidates with their exit codes, and when there was no such point."""
    from .start import run_request

    stages = []

    def arriving(setup: Setup) -> None:
        stage = Stage(setup, request["id"], inbox, answers)
        stages.append(stage)
        setup.overlay.before_first = stage.arrive

    code = run_request(spec, bool(request.get("stop_first")), arriving)
    for stage in stages:
        stage.missed()
    return code


def _why_not() -> str:
    """Only the thread that forks lives on in a child: where there are others, nobody may wait here."""
    import threading

    if len(sys._current_frames()) > 1 or threading.current_thread() is not threading.main_thread():
        return "other threads run"
    return ""


def _high(descriptor: int) -> int:
    """The user's code runs while it is open: it gets a number that is not in its way."""
    import fcntl

    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
    except OSError:
        return descriptor  # a very low limit on descriptors
    os.close(descriptor)
    return moved


def _random_state() -> Any:
    """`random` takes a new seed in every forked child; in a run of its own it would have kept the old one."""
    module = sys.modules.get("random")
    return module.getstate() if module is not None else None


def _restore_random(state: Any) -> None:
    if state is not None:
        sys.modules["random"].setstate(state)
