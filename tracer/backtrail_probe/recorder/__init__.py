"""Picks a recorder for this interpreter, and keeps the reason."""

from __future__ import annotations

import sys

from backtrail_probe.log import Log
from backtrail_probe.scope import Scope
from backtrail_probe.values import Renderer

from .codes import CodeTable
from .sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from backtrail_probe.wire import RunSpec


class Off:
    """What a recorder does, doing nothing: stands in when nothing is recorded."""

    on = False  # whether it records now

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def begin_anew(self, events: int) -> None:
        """In a forked child, whose log is another one and empty: all that is there is news to it, and so
        many events may be told."""

    def new_item(self) -> None:
        """An item (test) begins: its hits and calls are counted from nought."""

    def end_item(self) -> None: ...

    def go_on(self) -> None:
        """Behind the last item, exit handlers of the program may still run."""

    def write_last(self) -> None:
        """A failure of the item is about to be told."""

    def other_tracer(self, caller: Any) -> None:
        """The program called `sys.settrace`, in the frame `caller`."""

    def watch(self, code: Any) -> None:
        """A module's code object is about to be executed."""


class Reading(Off):
    """Records nothing, and reads the files that run all the same: failures are told, and the secrets that
    stand in the source must not be."""

    def __init__(self, codes: CodeTable) -> None:
        self._codes = codes

    def watch(self, code: Any) -> None:
        self._codes.of(code)


class Choice:
    """`recorder` has the methods of `Off`; `name` and `reason` stand in the log."""

    __slots__ = ("name", "reason", "recorder")

    def __init__(self, recorder: Any, name: str, reason: str) -> None:
        self.recorder = recorder
        self.name = name
        self.reason = reason


def choose(spec: RunSpec, log: Log, scope: Scope, renderer: Renderer) -> Choice:
    """Raises ValueError when the specification asks for what this interpreter does not have."""
    codes = CodeTable(scope, spec.overlay)
    codes.on_source = renderer.learn
    if not spec.record:
        return Choice(Reading(codes), "off", "the run specification asks for no recording")
    version = "Python %d.%d" % sys.version_info[:2]
    sink = _sink(spec, log, codes, renderer)
    has = hasattr(sys, "monitoring")
    if spec.recorder == "monitoring" and not has:
        raise ValueError(f"{version} has no sys.monitoring; it came with 3.12")
    why = f"{version} has no sys.monitoring" if not has else "the run specification asks for it"
    if has and spec.recorder != "settrace":
        from .monitoring import Monitoring

        try:
            return Choice(Monitoring(sink, codes, log), "monitoring", f"{version} has sys.monitoring")
        except RuntimeError as error:
            why = str(error)
    from .settrace import Settrace

    return Choice(Settrace(sink, codes), "settrace", why)


def _sink(spec: RunSpec, log: Log, codes: CodeTable, renderer: Renderer) -> Sink:
    if not spec.ring:
        return Sink(log, codes, renderer, spec.record_limits)
    from .ring import RingSink

    return RingSink(log, codes, renderer, spec.record_limits, spec.ring)
