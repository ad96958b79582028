"""A program and its child processes as one: what each recorded, laid on one axis of time.

Each process has a log of its own, and numbers of its own for frames, threads and objects. Put together, the
numbers of the children follow the program's, in the order in which they began. Hits are in order of time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import merge
from itertools import chain
from pathlib import Path

from attrs import evolve, frozen

from backtrail_probe.wire import MOST_CHILDREN
from backtrail_tracer.fold import Fold
from backtrail_tracer.trace import Cap, Frame, Hit, SideEffect, Value

Activity = tuple[dict[int, Frame], tuple[Hit, ...]]

_OBJECTS = 1 << 64
"""More than any number of an object is: they are addresses, and those of two processes are no two of one."""


@frozen
class Family:
    program: Fold
    children: tuple[Fold, ...] = ()

    def activity(self) -> Activity:
        """The frames by number, and the hits in order."""
        frames, hits = self.program.frames(), self.program.hits()
        if not self.children:
            return frames, hits
        rows, numbers = [hits], _count({}, frames, hits)
        last, thread = max(frames, default=0), _last_thread(frames)
        for process, child in enumerate(self.children, start=1):
            time_us = (child.origin_ns - self.program.origin_ns) // 1000
            added = _Added(process, last, thread, time_us, numbers)
            theirs = {frame.id: frame for frame in map(added.to_frame, child.frames().values())}
            hits = tuple(added.to_hit(hit, theirs) for hit in child.hits())
            rows.append(hits)
            frames.update(theirs)
            _count(numbers, theirs, hits)
            last, thread = max(theirs, default=last), max(thread, _last_thread(theirs))
        ordered = merge(*rows, key=lambda hit: hit.time_us)
        return frames, tuple(_placed(hit, order) for order, hit in enumerate(ordered))

    def hashes(self) -> dict[Path, str]:
        """Of a file that changed meanwhile, that of the program."""
        return dict(chain.from_iterable(each.hashes().items() for each in (*self.children, self.program)))

    def caps(self) -> tuple[Cap, ...]:
        """One for a line, with what was kept in all processes together."""
        found: dict[tuple[Path, int, str], Cap] = {}
        own = list(self.program.caps)
        for cap in chain.from_iterable(child.caps for child in self.children):
            key = cap.path, cap.line, cap.name
            found[key] = _sum(found[key], cap) if key in found else cap
        if not found:
            return tuple(own)
        mine = [
            _sum(cap, found.pop(key)) if (key := (cap.path, cap.line, cap.name)) in found else cap
            for cap in own
        ]
        return (*mine, *found.values())

    def limits(self) -> tuple[str, ...]:
        told = chain.from_iterable(child.limits for child in self.children)
        theirs = tuple(dict.fromkeys(f"in a child process, {words}" for words in told))
        many = (f"of its child processes the first {MOST_CHILDREN} were recorded",)
        return (*self.program.limits, *theirs, *(many if len(self.children) >= MOST_CHILDREN else ()))

    def side_effects(self) -> tuple[SideEffect, ...]:
        return tuple(chain.from_iterable(each.side_effects for each in self._all()))

    def loose_ends(self) -> tuple[str, ...]:
        return tuple(chain.from_iterable(each.loose_ends() for each in self._all()))

    def _all(self) -> Iterator[Fold]:
        return iter((self.program, *self.children))


_Place = tuple[int | None, Path, int]  # a test, a file, a line


def _count(
    numbers: dict[_Place, int], frames: Mapping[int, Frame], hits: tuple[Hit, ...]
) -> dict[_Place, int]:
    """Raises the number of the last hit of each line in each test by those of one process more."""
    for hit in hits:
        frame = frames[hit.frame]
        place = frame.item, frame.code.path, hit.line
        numbers[place] = max(hit.number, numbers.get(place, 0))
    return numbers


def _last_thread(frames: Mapping[int, Frame]) -> int:
    return max((frame.thread for frame in frames.values()), default=0)


@frozen
class _Added:
    """What is added to the numbers of a child process."""

    process: int
    frame: int
    thread: int
    time_us: int
    numbers: Mapping[_Place, int]

    def to_frame(self, frame: Frame) -> Frame:
        return evolve(
            frame,
            id=frame.id + self.frame,
            parent=None if frame.parent is None else frame.parent + self.frame,
            thread=frame.thread + self.thread,
            entered_us=frame.entered_us + self.time_us,
            left_us=None if frame.left_us is None else frame.left_us + self.time_us,
            arguments=self._values(frame.arguments),
            result=None if frame.result is None else self._value(frame.result),
            process=self.process,
        )

    def to_hit(self, hit: Hit, frames: Mapping[int, Frame]) -> Hit:
        frame = frames[hit.frame + self.frame]
        number = hit.number + self.numbers.get((frame.item, frame.code.path, hit.line), 0)
        return Hit(
            frame.id, hit.line, number, hit.time_us + self.time_us, self._values(hit.changed), hit.uncertain,
            hit.raised, hit.order, self._values(hit.found), hit.after_gap,
        )  # fmt: skip

    def _values(self, named: Mapping[str, Value]) -> Mapping[str, Value]:
        if all(value.id is None for value in named.values()):
            return named
        return {name: self._value(value) for name, value in named.items()}

    def _value(self, value: Value) -> Value:
        return value if value.id is None else evolve(value, id=value.id + self.process * _OBJECTS)


def _placed(hit: Hit, order: int) -> Hit:
    return Hit(
        hit.frame, hit.line, hit.number, hit.time_us, hit.changed, hit.uncertain, hit.raised, order,
        hit.found, hit.after_gap,
    )  # fmt: skip


def _sum(one: Cap, other: Cap) -> Cap:
    """A total is known only where both were counted."""
    counted = one.total and other.total
    return evolve(
        one,
        kept=one.kept + other.kept,
        last=one.last + other.last if counted else 0,
        total=one.total + other.total if counted else 0,
    )
