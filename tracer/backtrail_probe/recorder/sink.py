"""Turns what a recorder sees into events of the log: the same for both recorders.

A recorder calls `enter`, `line`, `leave`, `suspend`, `resume`, `raised` with a frame and what it
knows of its code. The sink keeps a state for each recorded frame, compares its variables with those
of the frame's previous event, counts against the caps and writes.

Two things are made the same for both recorders here. A line event on the line where the frame
already is, is dropped: `sys.settrace` tells of each turn of a one-line loop, `sys.monitoring` does not.
And a comprehension's frame (up to 3.11) counts as its caller's, as it does from 3.12 on.
"""

from __future__ import annotations

from _thread import get_ident
from itertools import count
from sys import exc_info, version_info
from time import perf_counter_ns as _clock
from types import BuiltinFunctionType, FunctionType, ModuleType

from backtrail_probe import statics
from backtrail_probe.log import Log
from backtrail_probe.statics import quote
from backtrail_probe.values import ATOMS, Renderer

from .codes import CodeInfo, CodeTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from backtrail_probe.wire import RecordLimits

_NO_LIMIT = 1 << 60
_NOT_VALUES = frozenset((ModuleType, FunctionType, BuiltinFunctionType, type))
_MUTABLE = object()  # stands for "look at it again": never identical with a value
_MISSING = object()
_SMALL = 1 << 62
_PROXIES = version_info >= (3, 13)  # there `f_locals` of a function makes a new list of items itself


class FrameState:
    """One recorded activation. Holds no reference to the frame, and of its values only immutable ones."""

    __slots__ = ("depth", "id", "info", "line", "objects", "raised", "texts")

    def __init__(self, number: int, info: CodeInfo, depth: int) -> None:
        self.id = number
        self.info = info
        self.depth = depth
        self.line = -1
        self.raised = False  # an exception came, and no line has run since
        self.objects: Dict[str, Any] = {}  # name -> the value if it is immutable, else _MUTABLE
        self.texts: Dict[str, str] = {}  # name -> the value as it was last rendered


class Sink:
    """`on` turns false when recording has stopped; the recorder then takes itself off."""

    def __init__(self, log: Log, codes: CodeTable, renderer: Renderer, limits: RecordLimits) -> None:
        self._log = log
        self._write = log.event
        self._t0 = log.t0
        self._codes = codes
        self._renderer = renderer
        self._render = renderer.render
        self.hits = limits.hits_per_line or _NO_LIMIT
        self.calls = limits.calls_per_function or _NO_LIMIT
        self._events_left = limits.events or _NO_LIMIT
        self._events = limits.events
        self._depth = limits.depth or _NO_LIMIT
        self.states: "Dict[int, FrameState]" = {}
        self._numbers = count(1)
        self._threads: "Dict[int, int]" = {}
        self._touched: "list[CodeInfo]" = []
        self._told_depth = False
        self._keys: Dict[str, str] = {}
        self.repeats = True  # the recorder tells of a line again and again while a frame stays on it
        self.on = True

    def new_item(self) -> None:
        """Each item (test) has its own first hits."""
        for info in self._touched:
            info.reset()
        self._touched = []

    def enter(self, frame: Any, info: CodeInfo, late: bool = False) -> "Optional[FrameState]":
        """A call, or a frame that is seen for the first time; None if the caps leave it out."""
        if not late:
            self.touch(info)
            info.calls += 1
            if info.calls > self.calls:
                return None
        parent = self.parent(frame)
        depth = parent.depth + 1 if parent is not None else 1
        if depth > self._depth:
            self._tell_depth()
            return None
        state = FrameState(next(self._numbers), info, depth)
        values = self._changes(frame, state, call=True)
        info.live += 1
        self.states[id(frame)] = state
        above = parent.id if parent is not None else "null"
        flag = "true" if late else "false"
        self._emit(
            f'["call",{state.id},{above},{info.id},{self._thread()},{self._log.now()},{values},{flag}]\n'
        )
        return state

    def over(self, info: CodeInfo, line: int) -> bool:
        """Whether the line has had all its hits."""
        if info.hits.get(line, 0) < self.hits:
            return False
        self.capped(info, line)
        return True

    def at_line(self, frame: Any, info: CodeInfo, line: int) -> bool:
        """A line is about to run; true if it is over its cap. A frame whose call was not recorded is
        taken up late when one of its lines has hits to spare."""
        state = self.states.get(id(frame))
        if state is not None:
            if state.info is not info:
                state = None
            elif state.line == line and (self.repeats or state.raised):
                # After an exception, the code that gives back what an inlined comprehension borrowed
                # is told as its line once more (3.12+).
                state.raised = False
                return False
            else:
                state.line, state.raised = line, False
        hit = info.hits.get(line, 0) + 1
        if hit > self.hits:
            self.capped(info, line)
            return True
        if state is None:
            self.touch(info)
            state = self.enter(frame, info, late=True)
            if state is None:
                return False
            state.line = line
        info.hits[line] = hit
        values = self._changes(frame, state)
        now = (_clock() - self._t0) // 1000
        gap = "true" if info.capped else "false"
        if not self.on or self._codes.news or self._events_left <= 0:
            self._emit(f'["line",{state.id},{line},{hit},{now},{values},{gap}]\n')
        elif self._write(f'["line",{state.id},{line},{hit},{now},{values},{gap}]\n'):
            self._events_left -= 1
        else:
            self.stop("bytes", self._log.limit)
        return False

    def capped(self, info: CodeInfo, line: int) -> None:
        """Told once for a line and item; line 0: the remaining lines of a frame."""
        if line not in info.capped:
            info.capped.add(line)
            self._emit(f'["cap",{info.id},{line},{info.hits.get(line, self.hits)}]\n')

    def leave(self, frame: Any, state: FrameState, value: Any) -> None:
        self.forget(frame)
        values, gap = self._changes(frame, state), "true" if state.info.capped else "false"
        shown = self._renderer.render(value)
        self._emit(f'["return",{state.id},{frame.f_lineno or 0},{self._log.now()},{shown},{values},{gap}]\n')

    def suspend(self, frame: Any, state: FrameState, value: Any) -> None:
        values, gap = self._changes(frame, state), "true" if state.info.capped else "false"
        shown = self._renderer.render(value)
        self._emit(f'["yield",{state.id},{frame.f_lineno or 0},{self._log.now()},{shown},{values},{gap}]\n')

    def resume(self, frame: Any, state: FrameState) -> None:
        self._emit(f'["resume",{state.id},{frame.f_lineno or 0},{self._log.now()}]\n')

    def raised(self, frame: Any, state: FrameState, exc: BaseException) -> None:
        state.raised = True
        name, message = quote(statics.type_name(type(exc))), quote(self._renderer.message(exc))
        self._emit(f'["raise",{state.id},{frame.f_lineno or 0},{self._log.now()},{name},{message}]\n')

    def unwind(self, frame: Any, state: FrameState) -> None:
        self.forget(frame)
        values, gap = self._changes(frame, state), "true" if state.info.capped else "false"
        self._emit(f'["unwind",{state.id},{frame.f_lineno or 0},{self._log.now()},{values},{gap}]\n')

    def forget(self, frame: Any) -> None:
        state = self.states.pop(id(frame), None)
        if state is not None:
            state.info.live -= 1

    def parent(self, frame: Any) -> "Optional[FrameState]":
        """The state of the nearest recorded caller."""
        states = self.states
        caller = frame.f_back
        while caller is not None:
            state = states.get(id(caller))
            if state is not None and state.info.code is caller.f_code:
                return state
            caller = caller.f_back
        return None

    def touch(self, info: CodeInfo) -> None:
        """Its counters will be set back at the next item."""
        if not info.touched:
            info.touched = True
            self._touched.append(info)

    def failed(self) -> None:
        """Called in an except clause. An error of the recorder's own stops it and is told in the log;
        what a signal handler of the program raised meanwhile is the program's, and is raised again."""
        kind, exc, traceback = exc_info()
        while traceback is not None:
            if self._codes.is_users(traceback.tb_frame.f_code.co_filename):
                raise  # noqa: PLE0704
            traceback = traceback.tb_next
        self.stop("recorder error: %s: %s" % (getattr(kind, "__name__", "?"), exc), 0)

    def stop(self, what: str, value: int) -> None:
        if self.on:
            self.on = False
            self.tell_limit(what, value)

    def tell_limit(self, what: str, value: int = 0) -> None:
        self._log.note(f'["limit",{quote(what)},{value},{self._log.now()}]\n')

    def _emit(self, line: str) -> None:
        if not self.on:
            return
        while self._codes.news:
            self._log.note(self._codes.news.pop(0))
        if self._events_left <= 0:
            self.stop("events", self._events)
        elif self._log.event(line):
            self._events_left -= 1
        else:
            self.stop("bytes", self._log.limit)

    def _tell_depth(self) -> None:
        if not self._told_depth:
            self._told_depth = True
            self.tell_limit("depth", self._depth)

    def _thread(self) -> int:
        return self._threads.setdefault(get_ident(), len(self._threads) + 1)

    def _changes(self, frame: Any, state: FrameState, call: bool = False) -> str:
        """What differs from the frame's previous event, as a JSON object. At a call, the arguments;
        variables of enclosing functions are there from the beginning and tell nothing."""
        info, objects, texts, keys = state.info, state.objects, state.texts, self._keys
        found = plain_names(frame.f_locals) if info.namespace else frame.f_locals
        hidden, only = info.hidden, info.arguments if call and not info.namespace else None
        parts = ""
        for name, value in found.items() if _PROXIES else list(found.items()):
            if objects.get(name, _MISSING) is value:
                continue
            key = keys.get(name)
            if key is None:
                key = self._key(name)
            if not key or (name in hidden and frame.f_lasti in hidden[name]):
                continue
            kind = type(value)
            text = f'["int","{value}"]' if kind is int and -_SMALL < value < _SMALL else self._render(value)
            objects[name] = value if kind in ATOMS else _MUTABLE
            if texts.get(name) != text:
                texts[name] = text
                if only is None or name in only:
                    parts = f"{parts},{key}:{text}" if parts else f"{key}:{text}"
        if len(objects) > len(found):
            for name in [name for name in objects if name not in found]:
                if name not in hidden or frame.f_lasti not in hidden[name]:
                    del objects[name], texts[name]
        return f"{{{parts}}}"

    def _key(self, name: str) -> str:
        """The name as JSON; nothing for names that are not the user's: of pytest's rewritten assertions
        and of the iterator of a comprehension or generator expression."""
        key = self._keys[name] = "" if name[:1] in ("@", ".") else quote(name)
        return key


def plain_names(namespace: Any) -> "Dict[str, Any]":
    """Of a module or class body: no dunders, no modules, functions and classes; pytest's own `@` names
    neither. A class body's namespace may be of the user's making: then it is read as a dict."""
    if not statics.derives(type(namespace), dict):
        return {}
    return {
        name: value
        for name, value in list(dict.items(namespace))
        if type(value) not in _NOT_VALUES
        and type(name) is str
        and name[:2] != "__"
        and not statics.derives(type(value), type)
    }
