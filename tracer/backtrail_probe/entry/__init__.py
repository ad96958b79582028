"""The kinds of entry: each runs its target as plain Python would and tells the report of its items."""

from __future__ import annotations

from backtrail_probe.constants import DOCTEST, MODULE, PYTEST, SCRIPT
from backtrail_probe.overlay import Overlay
from backtrail_probe.report import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backtrail_probe.wire import RunSpec


class Outcome:
    """How the entry ended. `exit` is what is raised as SystemExit's code: a number, a text or None.
    `interrupted`: it ended by KeyboardInterrupt, which Python turns into a signal."""

    __slots__ = ("exit", "interrupted", "message", "status")

    def __init__(
        self, status: str, exit: object = 0, message: str = "", *, interrupted: bool = False
    ) -> None:
        self.status = status
        self.exit = exit
        self.message = message
        self.interrupted = interrupted


def load(kind: str) -> None:
    """Imports what `run` needs for a kind of entry, before the program can get in the way."""
    if kind == PYTEST:
        from . import run_pytest  # noqa: F401
    elif kind == DOCTEST:
        from . import run_doctest  # noqa: F401
    elif kind in (SCRIPT, MODULE):
        from . import run_script  # noqa: F401


def run(spec: RunSpec, report: Report, overlay: Overlay, stop_first: bool = False) -> Outcome:
    """Runs the entry of the specification; raises nothing of the program's. `stop_first`: pytest stops
    at the first item that fails."""
    if spec.kind == PYTEST:
        from .run_pytest import run_pytest

        return run_pytest(spec, report, overlay, stop_first)
    if spec.kind == DOCTEST:
        from .run_doctest import run_doctest

        return run_doctest(spec, report, overlay)
    if spec.kind in (SCRIPT, MODULE):
        from .run_script import run_main

        return run_main(spec, report, overlay)
    return Outcome("usage", 2, f"unknown kind of entry: {spec.kind!r}")
