"""The recorder for Python 3.12 and newer: `sys.monitoring` (PEP 669).

Events are local to the code objects of traced files. They are switched on where code comes to life:
the audit event "exec" hands over each module's code object before it runs, and its functions are
among its constants. So other code runs at full speed and costs nothing, not even once.
"""

from __future__ import annotations

import sys
from types import CodeType

from .codes import CodeInfo, CodeTable
from .sink import FrameState, Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_getframe = sys._getframe
_TOOL_IDS = (4, 3)  # 0 is the debuggers', 1 coverage, 2 profilers, 5 optimizers


class Monitoring:
    """Raises RuntimeError when no tool id is free."""

    def __init__(self, sink: Sink, codes: CodeTable) -> None:
        self._monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        self._events = self._monitoring.events
        self._disable = self._monitoring.DISABLE
        self._sink = sink
        self._codes = codes
        self._known = codes.known
        self._tool = self._take_id()
        self._leaving = self._events.PY_RETURN | self._events.PY_YIELD | self._events.PY_RESUME
        self._running = False
        sink.repeats = False

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
            (events.LINE, self._line),
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

    def stop(self) -> None:
        if self._running:
            self._running = False
            self._monitoring.set_events(self._tool, 0)
            for info in self._codes.all():
                self._monitoring.set_local_events(self._tool, info.code, 0)

    def new_item(self) -> None:
        self._sink.new_item()
        if self._running:
            self._monitoring.restart_events()

    def end_item(self) -> None:
        """Nothing to do: what is not traced costs nothing."""

    def other_tracer(self) -> None:
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
            if sink.enter(frame, info) is None and not info.generator and info.calls > sink.calls:
                return self._disable
        except RecursionError:
            return None  # there is no room for a call: the event is lost
        except Exception:
            sink.failed()
        return None

    def _line(self, code: Any, line: int) -> Any:
        sink = self._sink
        try:
            known = self._known.get(id(code))
            info = known[1] if known is not None else self._codes.of(code)
            if info is None or not sink.on:
                return self._disable
            if not info.folded and sink.over(info, line):
                return self._disable
            frame = _getframe(1)
            if info.folded:
                frame, info = self._codes.unfold(frame)
                if info is None:
                    return None
            live = info.live
            if sink.at_line(frame, info, line):
                return self._disable
            if live == 0 and info.live == 1:
                self._see_leaving(info)
        except RecursionError:
            return None  # there is no room for a call: the event is lost
        except Exception:
            sink.failed()
        return None

    def _see_leaving(self, info: CodeInfo) -> None:
        """A frame was taken up late. The returns of its code may have been switched off where they
        stand (see `_idle`): taking the events away and giving them back switches them on again."""
        local = self._monitoring.get_local_events(self._tool, info.code)
        self._monitoring.set_local_events(self._tool, info.code, local & ~self._leaving)
        self._monitoring.set_local_events(self._tool, info.code, local)

    def _return(self, code: Any, offset: int, value: Any) -> Any:
        return self._leave(code, _getframe(1), self._sink.leave, value)

    def _yield(self, code: Any, offset: int, value: Any) -> Any:
        return self._leave(code, _getframe(1), self._sink.suspend, value)

    def _resume(self, code: Any, offset: int) -> Any:
        return self._leave(code, _getframe(1), self._sink.resume)

    def _leave(self, code: Any, frame: Any, tell: Any, *value: Any) -> Any:
        try:
            state = self._state_of(code, frame)
            if state is None:
                return self._idle(code)
            tell(frame, state, *value)
        except RecursionError:
            return None
        except Exception:
            self._sink.failed()
        return None

    def _idle(self, code: Any) -> Any:
        """No frame of this code is being recorded, so where it leaves is of no interest. While one is,
        its end must be seen: otherwise its state would be taken for another frame's."""
        info = self._codes.of(code)
        return self._disable if info is None or info.live == 0 or not self._sink.on else None

    def _throw(self, code: Any, offset: int, exc: Any) -> None:
        self._tell(code, _getframe(1), self._sink.resume)

    def _unwind(self, code: Any, offset: int, exc: Any) -> None:
        self._tell(code, _getframe(1), self._sink.unwind)

    def _raise(self, code: Any, offset: int, exc: Any) -> None:
        self._tell(code, _getframe(1), self._sink.raised, exc)

    def _tell(self, code: Any, frame: Any, tell: Any, *exc: Any) -> None:
        try:
            state = self._state_of(code, frame)
            if state is not None:
                tell(frame, state, *exc)
        except RecursionError:
            return
        except Exception:
            self._sink.failed()

    def _state_of(self, code: Any, frame: Any) -> "FrameState | None":
        state = self._sink.states.get(id(frame))
        return state if state is not None and state.info.code is code else None
