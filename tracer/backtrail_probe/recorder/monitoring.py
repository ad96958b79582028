"""The recorder for Python 3.12 and newer: `sys.monitoring` (PEP 669).

Events are local to the code objects of traced files. They are switched on where code comes to life:
the audit event "exec" hands over each module's code object before it runs, and its functions are
among its constants. So other code runs at full speed and costs nothing, not even once.
"""

from __future__ import annotations

import sys
from types import CodeType

from backtrail_probe.log import Log
from backtrail_probe.statics import identity

from .bytecode import ITERATES
from .codes import CodeInfo, CodeTable
from .hot import line_callback
from .running import PROXIES
from .sink import NO_LIMIT, Sink
from .state import FrameState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_getframe = sys._getframe
_TOOL_IDS = (4, 3)  # 0 is the debuggers', 1 coverage, 2 profilers, 5 optimizers


class Monitoring:
    """Raises RuntimeError when no tool id is free, OSError when there can be no file of words."""

    def __init__(self, sink: Sink, codes: CodeTable, log: Log) -> None:
        self._monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        self._events = self._monitoring.events
        self._disable = self._monitoring.DISABLE
        self._sink = sink
        self._codes = codes
        self._known = codes.known
        self._tool = self._take_id()
        self._leaving = self._events.PY_RETURN | self._events.PY_YIELD | self._events.PY_RESUME
        self._running = False
        self._last: Any = (None, None)
        sink.repeats = False
        self._on_line = self._line_callback(log)

    def _take_id(self) -> int:
        for tool in _TOOL_IDS:
            try:
                self._monitoring.use_tool_id(tool, "backtrail")
            except ValueError:
                continue
            return tool
        raise RuntimeError("the tool ids 3 and 4 of sys.monitoring are taken")

    def start(self) -> None:
        events = self._events
        for event, callback in (
            (events.PY_START, self._start),
            (events.LINE, self._on_line),
            (events.PY_RETURN, self._return),
            (events.PY_YIELD, self._yield),
            (events.PY_RESUME, self._resume),
            (events.PY_THROW, self._throw),
            (events.PY_UNWIND, self._unwind),
            (events.RAISE, self._raise),
        ):
            self._monitoring.register_callback(self._tool, event, callback)
        # These are global events in 3.12 and 3.13: they come from all code and are told apart here.
        self._monitoring.set_events(self._tool, events.PY_THROW | events.PY_UNWIND | events.RAISE)
        self._running = True

    def _line_callback(self, log: Log) -> Any:
        """Where the caps switch lines off there are few events, and where a frame's variables have no
        proxy they cannot be had fast."""
        if type(self._sink) is not Sink or self._sink.hits != NO_LIMIT or not PROXIES:
            return self._line
        return line_callback(self._sink, log, self._find, self._line)

    def stop(self) -> None:
        if self._running:
            self._running = False
            self._sink.end_item()
            self._sink.release()
            self._switch_off()

    @property
    def on(self) -> bool:
        return self._running and self._sink.on

    def begin_anew(self, events: int) -> None:
        """Without words: these are for one process with a great many hits."""
        self._on_line = self._line
        self._monitoring.register_callback(self._tool, self._events.LINE, self._on_line)
        self._sink.begin_anew(events)
        self._monitoring.restart_events()

    def new_item(self) -> None:
        self._sink.new_item()
        if self._running and self._sink.on:
            self._monitoring.restart_events()
        elif self._running:
            self._running = False  # recording has ended: what follows runs as if nobody looked on
            self._switch_off()

    def _switch_off(self) -> None:
        self._monitoring.set_events(self._tool, 0)
        for info in self._codes.all():
            self._monitoring.set_local_events(self._tool, info.code, 0)

    def end_item(self) -> None:
        """What is not traced costs nothing, so nothing is switched off."""
        self._sink.end_item()

    def go_on(self) -> None:
        """It never stopped."""

    def write_last(self) -> None:
        self._sink.write_last()

    def other_tracer(self, caller: Any) -> None:
        """Nothing to do: `sys.settrace` and `sys.monitoring` do not disturb each other."""

    def watch(self, code: CodeType) -> None:
        """Switches on the events of a code object and of all that it contains, if it is traced."""
        if not self._running or not self._sink.on or self._codes.of(code) is None:
            return
        local = self._events.PY_START | self._events.LINE | self._leaving
        self._monitoring.set_local_events(self._tool, code, local)
        for constant in code.co_consts:
            if type(constant) is CodeType:
                self.watch(constant)

    def _start(self, code: Any, offset: int) -> Any:
        sink = self._sink
        try:
            info = self._codes.of(code)
            if info is None or not sink.on or info.folded:
                return self._disable
            frame = _getframe(1)
            sink.forget(frame)
            state = sink.enter(frame, info)
            if state is not None:
                sink.run(frame, state)
                return None
            info.single, info.fast, sink.going = False, None, None
            if not info.generator and info.calls > sink.calls:
                return self._disable
        except RecursionError:
            sink.alone, sink.going = False, None
            return None  # there is no room for a call: the event is lost
        except Exception:
            sink.failed()
        return None

    def _line(self, code: Any, line: int) -> Any:
        sink = self._sink
        try:
            last = self._last
            info = last[1] if last[0] is code else self._find(code)
            if info is None or not info.single or info.top is None or not sink.alone:
                return self._line_of(code, info, line)
            state = info.top
            if state.raised and state.line == line:
                state.raised = False  # see `at_line`
                return None
            state.line, state.raised = line, False
            info.fast = state
            hit = info.hits.get(line, 0) + 1
            if hit > sink.hits:
                sink.capped(info, line)
                return self._disable
            sink.step(state.frame, state, info, line, hit)
        except RecursionError:
            sink.alone, sink.going = False, None
            return None  # there is no room for a call: the event is lost
        except Exception:
            sink.failed()
        return None

    def _find(self, code: Any) -> "CodeInfo | None":
        """Most events come from the code that the last one came from."""
        known = self._known.get(identity(code))
        info = known[1] if known is not None else self._codes.of(code)
        self._last = code, info
        return info

    def _line_of(self, code: Any, info: "CodeInfo | None", line: int) -> Any:
        """A line of a frame that has to be asked for. May raise RecursionError."""
        sink = self._sink
        if info is None or not sink.on:
            return self._disable
        if not info.folded and sink.over(info, line):
            return self._disable
        frame: Any = _getframe(2)
        while frame.f_code is not code:
            frame = frame.f_back
        if info.folded:
            frame, info = self._codes.unfold(frame)
            if info is None:
                return None
        live = info.live
        if sink.at_line(frame, info, line):
            return self._disable
        if live == 0 and info.live == 1:
            self._see_leaving(info)
        return None

    def _see_leaving(self, info: CodeInfo) -> None:
        """A frame was taken up late. The returns of its code may have been switched off where they
        stand (see `_idle`): taking the events away and giving them back switches them on again."""
        info.single, info.fast, self._sink.going = False, None, None
        local = self._monitoring.get_local_events(self._tool, info.code)
        self._monitoring.set_local_events(self._tool, info.code, local & ~self._leaving)
        self._monitoring.set_local_events(self._tool, info.code, local)

    def _return(self, code: Any, offset: int, value: Any) -> Any:
        return self._leave(code, self._sink.leave, value)

    def _yield(self, code: Any, offset: int, value: Any) -> Any:
        return self._leave(code, self._sink.suspend, value)

    def _resume(self, code: Any, offset: int) -> Any:
        return self._leave(code, self._go_on)

    def _go_on(self, frame: Any, state: FrameState) -> None:
        sink = self._sink
        sink.thread()  # it may be another one
        sink.run(frame, state)
        sink.resume(frame, state)

    def _leave(self, code: Any, tell: Any, *value: Any) -> Any:
        """Called by a callback of the interpreter, so that the program's frame is the second one below."""
        sink = self._sink
        try:
            last = self._last
            info = last[1] if last[0] is code else self._find(code)
            if info is None or info.live == 0 or not sink.on:
                return self._disable  # see `_idle`
            if info.single and sink.alone and info.top is not None and tell != self._go_on:
                tell(info.top.frame, info.top, *value)
                return None
            frame = _getframe(2)
            state = sink.states.get(identity(frame))
            if state is not None and state.info is info:
                tell(frame, state, *value)
        except RecursionError:
            sink.alone, sink.going = False, None
        except Exception:
            sink.failed()
        return None

    def _throw(self, code: Any, offset: int, exc: Any) -> None:
        self._tell(self._known.get(identity(code)), self._go_on)

    def _unwind(self, code: Any, offset: int, exc: Any) -> None:
        self._tell(self._known.get(identity(code)), self._sink.unwind)

    def _raise(self, code: Any, offset: int, exc: Any) -> None:
        known = self._known.get(identity(code))
        if known is None or known[1] is None:  # most come from code that is not traced
            return
        if issubclass(type(exc), (StopIteration, StopAsyncIteration)) and code.co_code[offset] in ITERATES:
            return
        self._tell(known, self._sink.raised, exc)

    def _tell(self, known: Any, tell: Any, *exc: Any) -> None:
        """An event that comes from all code, traced or not."""
        if known is None or known[1] is None:
            return
        sink = self._sink
        try:
            frame = _getframe(2)
            state = sink.states.get(identity(frame))
            if state is not None and state.info is known[1]:
                tell(frame, state, *exc)
        except RecursionError:
            sink.alone, sink.going = False, None
        except Exception:
            sink.failed()
