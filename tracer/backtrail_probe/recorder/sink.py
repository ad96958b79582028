"""Turns what a recorder sees into events of the log: the same for both recorders.

A recorder calls `enter`, `line`, `leave`, `suspend`, `resume`, `raised` with a frame and what it
knows of its code. The sink keeps a state for each recorded frame, compares its variables with those
of the frame's previous event, counts against the caps and writes.

Two things are made the same for both recorders here. A line event on the line where the frame
already is, is dropped: `sys.settrace` tells of each turn of a one-line loop, `sys.monitoring` does not.
And a comprehension's frame (up to 3.11) counts as its caller's, as it does from 3.12 on.
"""

from __future__ import annotations

from itertools import count
from sys import exc_info
from time import perf_counter_ns as _clock

from backtrail_probe import statics
from backtrail_probe.builtin_values import ATOM_IDS
from backtrail_probe.log import Log
from backtrail_probe.statics import identity, quote
from backtrail_probe.values import IntTexts, Renderer

from .bytecode import assigned
from .codes import CodeInfo, CodeTable
from .running import PROXIES, Running
from .state import FrameState, Keys, plain_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Tuple

    from backtrail_probe.wire import RecordLimits

    from .codes import Variable

NO_LIMIT = 1 << 60
_MUTABLE = object()  # stands for "look at it again": never identical with a value
MISSING = object()
WHOLE = 15  # a power of two less one
"""From so many hits of a line on it pays to find out which variables it can change, and records are short;
but each sixteenth is a whole one, with its number and the time."""


def _nothing() -> None:
    """No hits were counted in advance."""


class Sink(Running):
    """`on` turns false when recording has stopped; the recorder then takes itself off."""

    def __init__(self, log: Log, codes: CodeTable, renderer: Renderer, limits: RecordLimits) -> None:
        super().__init__(codes)
        self._log = log
        self.write = log.write
        self.t0 = log.t0
        self._renderer = renderer
        self._render = renderer.render
        self.ints = IntTexts(renderer.render)
        self.hits = limits.hits_per_line or NO_LIMIT
        self.calls = limits.calls_per_function or NO_LIMIT
        self.events_left = limits.events or NO_LIMIT
        self._events = limits.events
        self._depth = limits.depth or NO_LIMIT
        self._numbers = count(1)
        self._touched: "list[CodeInfo]" = []
        self._told_depth = False
        self.keys = Keys()
        self._key = self.keys.__getitem__
        self.repeats = True  # the recorder tells of a line again and again while a frame stays on it
        self.new_state = FrameState
        self.ahead = WHOLE  # so many short records are counted in advance; 0: each is counted by itself
        self.counts = True  # else the one who reads the log counts hits
        # How the callback that tells of hits by words (see `hot.py`) gives back what it counted in advance.
        self.settle: "Callable[[], None]" = _nothing
        self.on = True

    def new_item(self) -> None:
        """Each item (test) has its own first hits."""
        self.going = None
        for info in self._touched:
            info.reset()
        self._touched = []

    def begin_anew(self, events: int) -> None:
        """The log is a new one: nothing of what goes on was told in it, so that each frame that does is one
        that is seen for the first time. See `Off.begin_anew`."""
        self.write, self.t0 = self._log.write, self._log.t0
        self.settle, self.ahead, self.counts = _nothing, WHOLE, True
        self.events_left, self._events = events or NO_LIMIT, events
        self._numbers, self._told_depth = count(1), False
        self.forget_all()
        self._codes.tell_again()
        self.new_item()

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
        state = self.new_state(next(self._numbers), info, depth)
        values = self._changes(frame, state, call=True)
        info.live += 1
        self.states[identity(frame)] = state
        above = parent.id if parent is not None else "null"
        flag = "true" if late else "false"
        now, thread = self._log.now(), self.thread()
        text = f'["call",{state.id},{above},{info.id},{thread},{now},{values},{flag}]\n'
        self.entered(frame, state, text)
        return state

    # What the second pass does in another way (see `ring.py`).

    def entered(self, frame: Any, state: FrameState, text: str) -> None:
        """Tells of a call; `text` is its record."""
        self.emit(text)

    def effect(self, frame: Any, state: FrameState, kind: str, line: int, head: str) -> None:
        """Tells of an event with the variables that changed; `head` is its record up to them."""
        state.fresh = False
        values = self._changes(frame, state)
        self.emit(f"{head}{values},{'true' if state.info.capped else 'false'}]\n")

    def plain(self, state: FrameState, kind: str, line: int, text: str) -> None:
        """Tells of an event that has no variables; `text` is its record."""
        self.emit(text)

    def end_item(self) -> None:
        """The item, or the whole run, has ended."""

    def write_last(self) -> None:
        """A failure of the current item is about to be told."""

    def over(self, info: CodeInfo, line: int) -> bool:
        """Whether the line has had all its hits."""
        if info.hits.get(line, 0) < self.hits:
            return False
        self.capped(info, line)
        return True

    def at_line(self, frame: Any, info: CodeInfo, line: int) -> bool:
        """A line is about to run; true if it is over its cap. A frame whose call was not recorded is
        taken up late when one of its lines has hits to spare."""
        state = self.states.get(identity(frame))
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
        self.step(frame, state, info, line, hit)
        return False

    def step(self, frame: Any, state: FrameState, info: CodeInfo, line: int, hit: int) -> None:
        """Tells of a line that is about to run: the one place where nanoseconds count. Where a line is run
        again and again in a frame without anything mutable, its record is a short one."""
        info.hits[line] = hit
        names = state.names
        if names is None or info.capped or not hit & WHOLE:
            self._whole_step(frame, state, info, line, hit)
            return
        parts = ""
        if names:
            found, objects, texts = state.variables, state.objects, state.texts
            if found is None:
                found = frame.f_locals
            for name, key, _ in names:
                try:
                    value = found[name]
                except KeyError:  # it is not set yet, or was deleted
                    objects.pop(name, None)
                    texts.pop(name, None)
                    continue
                old = objects.get(name, MISSING)
                if old is value:
                    continue
                if type(value) is int:
                    objects[name] = value
                    if type(old) is int and old == value:
                        continue
                    text = self.ints[value]
                else:
                    text = self.told(state, name, value)
                if (texts.get(name) != text or type(old) is int) and not self.was_so(old, texts, name, text):
                    texts[name] = text
                    parts = f"{parts},{key}:{text}" if parts else f"{key}:{text}"
        short = state.short.get(line) or state.shorten(line)
        state.names = short[2] if state.plain and (self.ahead or self._has_left()) else None
        try:
            self.write(f"{short[0]}{parts}}}]\n".encode())
        except ValueError:
            self.no_room()

    def _whole_step(self, frame: Any, state: FrameState, info: CodeInfo, line: int, hit: int) -> None:
        values = "{}" if state.fresh else self._changes(frame, state)
        state.fresh = False
        if hit >= WHOLE and not info.capped and self.events_left > WHOLE:
            state.names = self._candidates(state, info, line)
            self.events_left -= self.ahead
        else:
            state.names = None
        now = (_clock() - self.t0) // 1000
        number, gap = hit if self.counts else "null", "true" if info.capped else "false"
        self.emit(f'["line",{state.id},{line},{number},{now},{values},{gap}]\n')

    def _has_left(self) -> bool:
        """Counts a short record by itself; false when each one from here on has to be looked at."""
        self.events_left -= 1
        return self.events_left > WHOLE

    def _candidates(self, state: FrameState, info: CodeInfo, line: int) -> "Optional[Tuple[Variable, ...]]":
        """The variables that this line may set: the only ones to look at when it has run. None where others
        may change with it, as all can that hold what is mutable."""
        if info.sets is None:
            info.sets = {at: self.keys.of(names) for at, names in assigned(info.code).items()}
        return info.sets.get(line) if state.plain else None

    def capped(self, info: CodeInfo, line: int) -> None:
        """Told once for a line and item; line 0: the remaining lines of a frame."""
        if line not in info.capped:
            info.capped.add(line)
            self.emit(f'["cap",{info.id},{line},{info.hits.get(line, self.hits)}]\n')

    def leave(self, frame: Any, state: FrameState, value: Any) -> None:
        self.forget(frame)
        shown, line = self._render(value), frame.f_lineno or 0
        head = f'["return",{state.id},{line},{self._log.now()},{shown},'
        self.effect(frame, state, "return", line, head)

    def suspend(self, frame: Any, state: FrameState, value: Any) -> None:
        self.rest(state)
        shown, line = self._render(value), frame.f_lineno or 0
        self.effect(frame, state, "yield", line, f'["yield",{state.id},{line},{self._log.now()},{shown},')

    def resume(self, frame: Any, state: FrameState) -> None:
        line = frame.f_lineno or 0
        self.plain(state, "resume", line, f'["resume",{state.id},{line},{self._log.now()}]\n')

    def raised(self, frame: Any, state: FrameState, exc: BaseException) -> None:
        state.raised = True
        state.info.fast = self.going = None
        line = frame.f_lineno or 0
        name, message = quote(statics.type_name(type(exc))), quote(self._renderer.message(exc))
        self.plain(state, "raise", line, f'["raise",{state.id},{line},{self._log.now()},{name},{message}]\n')

    def unwind(self, frame: Any, state: FrameState) -> None:
        self.forget(frame)
        line = frame.f_lineno or 0
        self.effect(frame, state, "unwind", line, f'["unwind",{state.id},{line},{self._log.now()},')

    def forget(self, frame: Any) -> None:
        state = self.states.pop(identity(frame), None)
        if state is not None:
            state.info.live -= 1
            self.rest(state)

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
            self.release()
            self.tell_limit(what, value)

    def no_room(self) -> None:
        self.stop("bytes", self._log.limit)

    def tell_limit(self, what: str, value: int = 0) -> None:
        self._log.note(f'["limit",{quote(what)},{value},{self._log.now()}]\n')

    def emit(self, line: str) -> None:
        if not self.on:
            return
        while self._codes.news:
            self._log.note(self._codes.news.pop(0))
        if self.events_left <= 0:
            self.settle()
        if self.events_left <= 0:
            self.stop("events", self._events)
        elif self._log.event(line):
            self.events_left -= 1
        else:
            self.stop("bytes", self._log.limit)

    def _tell_depth(self) -> None:
        if not self._told_depth:
            self._told_depth = True
            self.tell_limit("depth", self._depth)

    def told(self, state: FrameState, name: str, value: Any) -> str:
        """Renders a value and remembers what is needed to see it change."""
        if identity(type(value)) in ATOM_IDS:
            state.objects[name] = value
        else:
            state.objects[name] = _MUTABLE
            state.plain = False
        return self._render(value)

    def was_so(self, old: Any, texts: "Dict[str, Optional[str]]", name: str, text: str) -> bool:
        """Whether a float is what it was, of which no text was kept, since it was told by a word."""
        return type(old) is float and texts.get(name) is None and self._render(old) == text

    def _changes(self, frame: Any, state: FrameState, call: bool = False) -> str:
        """What differs from the frame's previous event, as a JSON object. At a call, the arguments;
        variables of enclosing functions are there from the beginning and tell nothing."""
        info, objects, texts, keys = state.info, state.objects, state.texts, self.keys
        found = plain_names(frame.f_locals) if info.namespace else frame.f_locals
        hidden, only = info.hidden, info.arguments if call and not info.namespace else None
        parts = ""
        state.plain = True
        for name, value in found.items() if PROXIES else list(found.items()):
            old = objects.get(name, MISSING)
            if old is value:
                continue
            key = keys[name]
            if not key or (name in hidden and frame.f_lasti in hidden[name]):
                continue
            if type(value) is int:
                objects[name] = value
                if type(old) is int and old == value:
                    continue
                text = self.ints[value]
            else:
                text = self.told(state, name, value)
            if (texts.get(name) != text or type(old) is int) and not self.was_so(old, texts, name, text):
                texts[name] = text
                if only is None or name in only:
                    parts = f"{parts},{key}:{text}" if parts else f"{key}:{text}"
        if len(objects) > len(found):
            for name in [name for name in objects if name not in found]:
                if name not in hidden or frame.f_lasti not in hidden[name]:
                    del objects[name]
                    texts.pop(name, None)
        return f"{{{parts}}}"
