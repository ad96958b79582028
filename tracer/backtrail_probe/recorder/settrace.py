"""The recorder for Python 3.9 to 3.11: `sys.settrace`.

The interpreter calls the global function for every call, and the local one for every line of a frame
that it was given for. What costs is the calling, so a frame is let go when it has nothing new to tell.
"""

from __future__ import annotations

import sys

from backtrail_probe.statics import identity

from .bytecode import ITERATES, RETURNS, suspensions
from .codes import CodeInfo, CodeTable
from .sink import Sink
from .state import FrameState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IDLE_LINES = 1000
"""So many line events of one frame in a row over the cap, and its lines are not followed any more."""

OTHER_TRACER = "other tracer"

IDLE_CODE = 20_000
"""The same for a code object: then its later calls are not followed at all, until the next item."""


class Settrace:
    """Tracing is on only while traced code may run: from the moment that a traced module is executed,
    and during items. So the test runner's own start-up is not slowed down."""

    def __init__(self, sink: Sink, codes: CodeTable) -> None:
        self._sink = sink
        self._codes = codes
        self._global = self._global_function()
        self._running = False
        self._replaced = False
        self._is_on = False
        self._told = False

    def start(self) -> None:
        self._running = True

    def stop(self) -> None:
        if self._running:
            self._look_for_ours()
            self._sink.end_item()
        self._running = False
        self._off()

    @property
    def on(self) -> bool:
        return self._running and self._sink.on

    def begin_anew(self, events: int) -> None:
        self._sink.begin_anew(events)

    def new_item(self) -> None:
        self._sink.new_item()
        self._on()

    def end_item(self) -> None:
        self._look_for_ours()
        self._off()
        self._sink.end_item()

    def go_on(self) -> None:
        self._on()

    def write_last(self) -> None:
        self._sink.write_last()

    def watch(self, code: Any) -> None:
        """A module's code is about to be executed."""
        if self._running and self._codes.of(code) is not None:
            self._codes.name_all(code)
            self._on()

    def other_tracer(self, caller: Any) -> None:
        """The program called `sys.settrace` itself. Its tracer has the right of way; whether it gave
        ours back (debuggers do) is seen at the end of the item."""
        ours = self._begins_thread(caller) or self._ends_doctest(caller)
        self._replaced = self._replaced or (self._running and not ours)

    def _begins_thread(self, caller: Any) -> bool:
        """A thread that begins takes up what `threading.settrace` was given: that is ours, or is not."""
        threading = caller.f_globals
        return threading.get("__name__") == "threading" and threading.get("_trace_hook") is self._global

    def _ends_doctest(self, caller: Any) -> bool:
        """The runner of doctest puts back the tracer that it found, after each docstring. A debugger that an
        example started is told when that one sets its own."""
        if caller.f_globals.get("__name__") != "doctest" or caller.f_code.co_name != "run":
            return False
        return caller.f_locals.get("save_trace") is self._global

    def _look_for_ours(self) -> None:
        """Tells why the recording of this item has a gap or ended early, if so: the interpreter takes a
        trace function off when it cannot call it, which is so at the limit of recursion."""
        gone = sys.gettrace() is not self._global
        if self._is_on and self._sink.on and not self._told and (gone or self._replaced):
            self._told = True
            other = "the program set a tracer of its own, which ended the recording" if gone else OTHER_TRACER
            self._sink.tell_limit(
                other if self._replaced else "the limit of recursion, which ended the recording"
            )
        self._replaced = self._is_on = False

    def _on(self) -> None:
        if self._running and self._sink.on and sys.gettrace() is None:
            self._is_on = True
            import threading

            threading.settrace(self._global)
            sys.settrace(self._global)

    def _off(self) -> None:
        if sys.gettrace() is self._global:
            import threading

            sys.settrace(None)
            threading.settrace(None)

    def _global_function(self) -> Any:
        """Called for every call of any Python function, so it finds out fast what is not traced."""
        known, begin = self._codes.known, self._begin

        def trace(frame: Any, event: str, arg: Any) -> Any:
            found = known.get(identity(frame.f_code))
            return begin(frame) if found is None or found[1] is not None else None

        return trace

    def _begin(self, frame: Any) -> Any:
        """A frame begins, or a generator goes on."""
        sink = self._sink
        try:
            info = self._codes.of(frame.f_code)
            if info is None or info.idle > IDLE_CODE or not sink.on:
                return None
            if info.folded:
                return self._folded
            if info.generator and frame.f_trace is not None:
                state = sink.states.get(identity(frame))
                if state is not None and state.info is info:
                    sink.resume(frame, state)
                return frame.f_trace
            sink.forget(frame)
            sink.enter(frame, info)
            return self._local(info)
        except RecursionError:
            return None
        except Exception:
            sink.failed()
        return None

    def _local(self, info: CodeInfo) -> Any:
        """The local trace function of one frame. It returns None throughout, which keeps it in place:
        a function that returns itself would be a reference cycle for each call of the program."""
        sink, states, leaves = self._sink, self._sink.states, self._leaving(info)
        idle, raised = 0, False

        def trace(frame: Any, event: str, arg: Any) -> None:
            nonlocal idle, raised
            try:
                if event != "line":
                    state = states.get(identity(frame))
                    if state is not None and state.info is info:
                        raised = leaves(frame, state, event, arg, raised)
                    return
                line, raised = frame.f_lineno, False
                if line in info.capped:
                    state = states.get(identity(frame))
                    if state is not None:
                        state.line = line
                    idle += 1
                    if idle >= IDLE_LINES:
                        self._let_go(frame, info, idle)
                elif sink.on:
                    idle = 0
                    sink.at_line(frame, info, line)
                else:
                    frame.f_trace_lines = False
            except RecursionError:
                return  # there is no room for a call: the event is lost
            except Exception:
                sink.failed()

        return trace

    def _leaving(self, info: CodeInfo) -> Any:
        """What follows the other events of a frame; returns whether an exception is under way in it."""
        sink, raw = self._sink, info.code.co_code
        yields = suspensions(info.code) if info.generator else ()

        def leaves(frame: Any, state: FrameState, event: str, arg: Any, raised: bool) -> bool:
            op = raw[frame.f_lasti] if frame.f_lasti >= 0 else 0
            if event == "exception":
                if op in ITERATES and issubclass(arg[0], (StopIteration, StopAsyncIteration)):
                    return raised
                sink.raised(frame, state, arg[1])
                return True
            if frame.f_lasti in yields and not (raised and arg is None):
                sink.suspend(frame, state, arg)
            elif arg is None and op not in RETURNS:
                sink.unwind(frame, state)
            else:
                sink.leave(frame, state, arg)
            return False

        return leaves

    def _let_go(self, frame: Any, info: CodeInfo, lines: int) -> None:
        """Returns and exceptions of the frame are still seen; which line it is on is not."""
        frame.f_trace_lines = False
        info.idle += lines
        self._sink.capped(info, 0)

    def _folded(self, frame: Any, event: str, arg: Any) -> None:
        """The lines of a comprehension are those of the function around it, as from 3.12 on."""
        sink = self._sink
        try:
            if event == "line":
                caller, info = self._codes.unfold(frame)
                if info is not None:
                    sink.at_line(caller, info, frame.f_lineno)
        except Exception:
            sink.failed()
