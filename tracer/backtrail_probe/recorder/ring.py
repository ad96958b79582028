"""The second pass: the first hits of each line as ever, and the last ones before a failure.

Nothing is switched off here. What is beyond a cap goes into a ring in memory, the last few of each line and
of each place where functions are left, with the frame's variables as they were. At a failure the rings
are written to the log; a program that is killed before loses them, and only them.

A record from a ring says where in the log it belongs and how many events of its frame came since the
frame's last record that was written at once, so that the reader can tell what is missing in between.
"""

from __future__ import annotations

from collections import deque
from itertools import count

from backtrail_probe.log import Log
from backtrail_probe.values import Renderer

from .codes import CodeInfo, CodeTable
from .sink import NO_LIMIT, Sink
from .state import FrameState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Deque, Dict, List, Optional, Set, Tuple

    from backtrail_probe.wire import RecordLimits

    # Order, place in the log, frame, events of the frame since, head of the record, variables (None: no
    # values belong to it, and the head is all of it).
    Entry = Tuple[int, int, "RingState", int, str, Optional[Dict[str, str]]]
    Key = Tuple[int, str, int]

MOST_PLACES = 4000
"""Lines and other places of which the last hits are kept; beyond it, those that were quiet longest go."""


class RingState(FrameState):
    """`call` is the record of the call as long as it is not written; `base` are the variables as they were
    when the frame's last record was written, and `since` the number of events since then."""

    __slots__ = ("above", "base", "call", "entered", "since")

    def __init__(self, number: int, info: CodeInfo, depth: int) -> None:
        super().__init__(number, info, depth)
        self.call = ""
        self.above: Optional[RingState] = None
        self.entered = (0, 0)
        self.base: Dict[str, str] = {}
        self.since = 0


class RingSink(Sink):
    """`last` is how many of the last hits of a line are kept."""

    def __init__(
        self, log: Log, codes: CodeTable, renderer: Renderer, limits: RecordLimits, last: int
    ) -> None:
        super().__init__(log, codes, renderer, limits)
        self.new_state = RingState
        self._first, self._first_calls = self.hits, self.calls
        self.hits = self.calls = NO_LIMIT
        self._last = last
        self._order = count(1)
        self._rings: "Dict[Key, Deque[Entry]]" = {}
        self._seen: "Dict[Key, int]" = {}  # how often each place was hit in this item
        self._told: "Set[Key]" = set()  # lines of which it was said how many hits were kept

    def begin_anew(self, events: int) -> None:
        self._seen, self._rings = {}, {}  # they are the parent's
        super().begin_anew(events)

    def new_item(self) -> None:
        self.end_item()
        super().new_item()
        self._seen, self._told = {}, set()

    def end_item(self) -> None:
        """The item did not fail, or its last hits are written: they are of no more interest."""
        self._tell_caps()
        self._rings = {}

    def entered(self, frame: Any, state: Any, text: str) -> None:
        state.entered = (next(self._order), self._log.position)
        state.call = text
        state.above = self.parent(frame)
        if state.info.calls <= self._first_calls:
            self._tell_call(state)

    def step(self, frame: Any, state: Any, info: CodeInfo, line: int, hit: int) -> None:
        info.hits[line] = hit
        self.effect(frame, state, "line", line, f'["line",{state.id},{line},{hit},{self._log.now()},')

    def effect(self, frame: Any, state: Any, kind: str, line: int, head: str) -> None:
        if self._is_first(state, kind, line):
            self._tell_call(state)
            values = self._changes(frame, state)
            if state.since:
                base = state.base
                changed = {name: text for name, text in state.texts.items() if base.get(name) != text}
                values = self._object(changed)
            self.emit(f"{head}{values},{state.since or 'false'}]\n")
            state.since = 0
        else:
            if not state.since:
                state.base = dict(state.texts)
            self._changes(frame, state)
            state.since += 1
            self._keep(state, kind, line, head, dict(state.texts))

    def plain(self, state: Any, kind: str, line: int, text: str) -> None:
        if self._is_first(state, kind, line):
            self.emit(text)
        else:
            self._keep(state, kind, line, text.rstrip("\n"), None)

    def write_last(self) -> None:
        """A failure is about to be told: the rings go into the log, in the order in which things happened."""
        entries: "List[Entry]" = [entry for ring in list(self._rings.values()) for entry in list(ring)]
        calls: "Dict[int, Entry]" = {}
        for entry in entries:
            state: "Optional[RingState]" = entry[2]
            while state is not None and state.call:
                calls[state.id] = (*state.entered, state, 0, state.call.rstrip("\n"), None)
                state.call, state = "", state.above
        for _, at, _, since, head, values in sorted([*entries, *calls.values()], key=lambda entry: entry[0]):
            record = head if values is None else f"{head}{self._object(values)},false]"
            self.emit(f'["ring",{at},{since},{record}]\n')
        self.end_item()

    def _is_first(self, state: RingState, kind: str, line: int) -> bool:
        """Whether it is among the first hits of its place. The frame of a call that was not recorded is
        taken up when one of its lines has hits to spare, as in the first pass."""
        key = (state.info.id, kind, line)
        seen = self._seen[key] = self._seen.get(key, 0) + 1
        return seen <= self._first and (kind == "line" or not state.call)

    def _keep(
        self, state: RingState, kind: str, line: int, head: str, values: "Optional[Dict[str, str]]"
    ) -> None:
        key = (state.info.id, kind, line)
        ring = self._rings.get(key)
        if ring is None:
            if len(self._rings) >= MOST_PLACES:
                self._make_room()
            ring = self._rings[key] = deque(maxlen=self._last)
        ring.append((next(self._order), self._log.position, state, state.since, head, values))

    def _make_room(self) -> None:
        quiet = sorted(self._rings, key=lambda key: self._rings[key][-1][0])
        for key in quiet[: MOST_PLACES // 2]:
            del self._rings[key]

    def _tell_call(self, state: "Optional[RingState]") -> None:
        """Writes the record of a call, and of the calls that led to it, if that is still to be done."""
        waiting: "List[RingState]" = []
        while state is not None and state.call:
            waiting.append(state)
            state = state.above
        for each in reversed(waiting):
            self.emit(each.call)
            each.call = ""

    def _tell_caps(self) -> None:
        """Each line that has more hits than were kept: how many of the first, of the last, and in all."""
        for (code, kind, line), total in list(self._seen.items()):
            key = (code, kind, line)
            if kind == "line" and total > self._first and key not in self._told:
                self._told.add(key)
                last = len(self._rings.get(key, ()))
                self.emit(f'["cap",{code},{line},{self._first},{last},{total}]\n')

    def _object(self, texts: "Dict[str, str]") -> str:
        return "{" + ",".join(f"{self._key(name)}:{text}" for name, text in texts.items()) + "}"
