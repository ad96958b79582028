"""Picks a recorder for this interpreter, and keeps the reason."""

from __future__ import annotations

import sys

from backtrail_probe.log import Log
from backtrail_probe.scope import Scope
from backtrail_probe.values import Renderer

from .codes import CodeTable
from .monitoring import Monitoring
from .settrace import Settrace
from .sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from backtrail_probe.wire import RunSpec


class Off:
    """What a recorder does, doing nothing: stands in when nothing is recorded."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def new_item(self) -> None:
        """An item (test) begins: its hits and calls are counted from nought."""

    def end_item(self) -> None: ...

    def other_tracer(self) -> None:
        """The program called `sys.settrace`."""

    def watch(self, code: Any) -> None:
        """A module's code object is about to be executed."""


class Choice:
    """`recorder` has the methods of `Off`; `name` and `reason` stand in the log."""

    __slots__ = ("name", "reason", "recorder")

    def __init__(self, recorder: Any, name: str, reason: str) -> None:
        self.recorder = recorder
        self.name = name
        self.reason = reason


def choose(spec: RunSpec, log: Log, scope: Scope, renderer: Renderer) -> Choice:
    """Raises ValueError when the specification asks for what this interpreter does not have."""
    if not spec.record:
        return Choice(Off(), "off", "the run specification asks for no recording")
    if spec.ring:
        raise ValueError("a ring of the last hits is not supported by this version of the probe")
    version = "Python %d.%d" % sys.version_info[:2]
    codes = CodeTable(scope, spec.overlay)
    sink = Sink(log, codes, renderer, spec.record_limits)
    has = hasattr(sys, "monitoring")
    if spec.recorder == "monitoring" and not has:
        raise ValueError(f"{version} has no sys.monitoring; it came with 3.12")
    why = f"{version} has no sys.monitoring" if not has else "the run specification asks for it"
    if has and spec.recorder != "settrace":
        try:
            return Choice(Monitoring(sink, codes), "monitoring", f"{version} has sys.monitoring")
        except RuntimeError as error:
            why = str(error)
    return Choice(Settrace(sink, codes), "settrace", why)
