"""Where a failing run first went another way than a good one of the same entry.

The two runs are laid side by side: the test by its name, its frames by the call that made them, and in
each pair of frames the recorded hits one by one. Lines that were edited in between have no counterpart;
what they did shows at the next line that has one. What was not recorded is never taken for equal.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any, Literal

from attrs import define, evolve, field, frozen

from backtrail_tracer.aging import line_map
from backtrail_tracer.sameness import differ
from backtrail_tracer.trace import Code, Frame, Hit, Trace, Value

Kind = Literal["value", "argument", "result", "raised", "branch"]


@frozen
class Divergence:
    """The first difference between two runs. `line` and `hit` are the failing run's, from 1.

    `was` is what the good run had and `now` what the failing one has: the texts of two values; for
    "raised" the exception that came; for "branch" where each run went on, in words. `name` is the
    variable, or the function for "result". For "argument" and "result", `hit` counts the calls.
    """

    kind: Kind
    test: str  # empty when the program has no tests
    function: str
    path: Path
    line: int
    hit: int
    name: str
    was: str
    now: str
    edited: bool = False  # the line was edited between the two runs
    notes: tuple[str, ...] = ()  # what makes this less than certain, in words

    @property
    def words(self) -> str:
        """As in "total was 6 (hit 2), now 4": what differs, for a person who sees the line."""
        told = {
            "value": f"{self.name} was {self.was} (hit {self.hit}), now {self.now}",
            "argument": f"{self.name} was {self.was} (call {self.hit}), now {self.now}",
            "result": f"{self.name} returned {self.was} (call {self.hit}), now {self.now}",
            "raised": f"{self.now} was raised (hit {self.hit}); the good run went on",
            "branch": f"the good run went on to {self.was} (hit {self.hit}), this one to {self.now}",
        }[self.kind]
        told += "; the line was edited in between" if self.edited else ""
        return "; ".join((told, *self.notes))


@frozen
class Variable:
    """One of the function where two runs part, as each had it there; None: it was not recorded."""

    name: str
    was: Value | None
    now: Value | None

    @property
    def differs(self) -> bool:
        return differ(self.was, self.now)


@frozen
class Comparison:
    """The first difference, and the variables around it."""

    first: Divergence
    variables: tuple[Variable, ...]


def first_divergence(good: Trace, failing: Trace, item: int | None = None) -> Divergence | None:
    """The first difference alone (see `compare`)."""
    found = compare(good, failing, item)
    return found.first if found else None


def compare(good: Trace, failing: Trace, item: int | None = None) -> Comparison | None:
    """The first difference on the way to the failure of a test of `failing` (by its id; None: the whole
    program), or None when the record shows none, or the good run did not pass that test.

    Time is the failing run's: what a call did comes before what its caller made of it.
    """
    wanted = next((each for each in failing.items if each.id == item), None)
    counterpart = None
    if wanted is not None:
        same = [each for each in good.items if (each.path, each.name) == (wanted.path, wanted.name)]
        if not same or same[0].outcome != "passed":
            return None
        counterpart = same[0].id
    pairs = list(_pairs(_Side(good, counterpart), _Side(failing, item)))
    found = [each for pair in pairs for each in pair.differences()]
    if not found:
        return None
    first = min(found, key=lambda each: each.key)
    unseen = any(key < first.key for pair in pairs for key in pair.unseen)
    notes = (*first.divergence.notes, *((_UNSEEN,) if unseen else ()))
    told = evolve(first.divergence, test=wanted.name if wanted else "", notes=notes)
    return Comparison(told, tuple(first.pair.variables(first.point)))


@define(eq=False)
class _Side:
    """One of the two runs, as far as it belongs to the test."""

    trace: Trace
    item: int | None
    frames: list[Frame] = field(init=False)
    ends: dict[int, int] = field(init=False)  # frame -> the order of the last hit in it or in its callees
    calls: dict[int, int] = field(init=False)  # frame -> which call of its code it is, from 1
    full: dict[Path, int] = field(init=False)  # file -> the order of the first hit that reached a cap

    def __attrs_post_init__(self) -> None:
        every = sorted(self.trace.frames.values(), key=lambda frame: frame.id)
        # Which child process does what is often a matter of chance.
        self.frames = [frame for frame in every if frame.item in (None, self.item) and not frame.process]
        self.ends, self.calls, self.full = {}, {}, {}
        self._count()
        for frame in reversed(self.frames):
            own = max((hit.order for hit in self.trace.hits_of(frame.id)), default=-1)
            self.ends[frame.id] = end = max(own, self.ends.get(frame.id, -1))
            if frame.parent is not None:
                self.ends[frame.parent] = max(end, self.ends.get(frame.parent, -1))
        self._fill()

    def _count(self) -> None:
        seen: dict[Code, int] = {}
        for frame in self.frames:
            seen[frame.code] = self.calls[frame.id] = seen.get(frame.code, 0) + 1

    def _fill(self) -> None:
        kept = {(cap.path, cap.line): cap.kept for cap in self.trace.caps}
        for frame in self.frames if kept else ():
            path = frame.code.path
            for hit in self.trace.hits_of(frame.id):
                if hit.number >= kept.get((path, hit.line), hit.number + 1):
                    self.full[path] = min(hit.order, self.full.get(path, hit.order))

    def hits(self, frame: Frame) -> list[Hit]:
        return list(self.trace.hits_of(frame.id))

    def caller(self, frame: Frame) -> int | None:
        return frame.parent if frame.parent in self.calls else None

    def value(self, frame: Frame, name: str, end: Hit | None) -> Value | None:
        """What a variable was when a hit was about to run, or (None) in the end."""
        return self.trace.variable(frame, name, end.order if end else len(self.trace.hits))

    def gap_before(self, path: Path, hit: Hit | None) -> bool:
        """Whether lines of the file may have run unrecorded by then."""
        order = hit.order if hit else len(self.trace.hits)
        return order > self.full.get(path, order) or bool(self.trace.limits)


_Key = tuple[int | None, bool, Path, str]


def _pairs(good: _Side, failing: _Side) -> Iterator[_Pair]:
    """The frames of the failing run that have a counterpart: the same call of the same code, counted
    among the calls that the counterpart of its caller made."""
    waiting: dict[_Key, list[Frame]] = {}
    for frame in reversed(good.frames):
        waiting.setdefault(_key(frame, good.caller(frame)), []).append(frame)
    partners: dict[int, int] = {}
    for frame in failing.frames:
        caller = failing.caller(frame)
        if caller is not None and caller not in partners:
            continue  # called by code that has no counterpart
        there = waiting.get(_key(frame, None if caller is None else partners[caller]))
        if there:
            partner = there.pop()
            partners[frame.id] = partner.id
            yield _Pair(good, failing, partner, frame)


def _key(frame: Frame, caller: int | None) -> _Key:
    return caller, frame.item is None, frame.code.path, frame.code.name


# When something came about in the failing run: the order of hits, inner frames first, then the stage.
_When = tuple[float, int, int]


@frozen(eq=False)
class _Found:
    key: _When
    divergence: Divergence
    pair: _Pair
    point: _Point


@frozen
class _Point:
    """A place in time that both frames came to: a pair of hits, or where one or both ended (None)."""

    was: Hit | None
    now: Hit | None


@define(eq=False)
class _Pair:
    """A frame of the failing run (`now`) and its counterpart."""

    good: _Side
    failing: _Side
    was: Frame
    now: Frame
    unseen: list[_When] = field(factory=list)  # when values came that look the same as far as recorded

    @property
    def path(self) -> Path:
        return self.now.code.path

    def differences(self) -> Iterator[_Found]:
        lines = _lines(self.good.trace, self.failing.trace, self.path)
        if lines is not None:
            yield from self._arguments()
            yield from self._body(*lines)
            yield from self._result()

    def variables(self, at: _Point) -> Iterator[Variable]:
        """What both runs know of the frame's variables at a point, those of the failing run first."""
        names = dict.fromkeys((*self.now.arguments, *self.was.arguments))
        for side, frame in ((self.failing, self.now), (self.good, self.was)):
            names |= dict.fromkeys(name for hit in side.hits(frame) for name in hit.changed)
        for name in names:
            was = self.good.value(self.was, name, at.was)
            now = self.failing.value(self.now, name, at.now)
            if not name.startswith(("__", "@")) and (was is not None or now is not None):
                yield Variable(name, was, now)

    def _found(
        self, key: tuple[float, int], point: _Point, kind: Kind, line: int, hit: int, *told: str, **more: Any
    ) -> _Found:
        name, was, now = told
        code = self.now.code
        divergence = Divergence(kind, "", code.name, code.path, line, hit, name, was, now, **more)
        return _Found((key[0], -self.now.id, key[1]), divergence, self, point)

    def _arguments(self) -> Iterator[_Found]:
        first = next(self.failing.trace.hits_of(self.now.id), None)
        if self.was.late or self.now.late or first is None:
            return
        call, line = self.failing.calls[self.now.id], self.now.code.first_line
        point = _Point(next(self.good.trace.hits_of(self.was.id), None), first)
        for name, now in self.now.arguments.items():
            was = self.was.arguments.get(name)
            if was is not None and differ(was, now):
                key = (first.order - 0.5, 0)
                yield self._found(key, point, "argument", line, call, name, *_told(was, now))

    def _result(self) -> Iterator[_Found]:
        was, now = self.was.result, self.now.result
        both = self.was.left_by == self.now.left_by == "return"
        if both and was is not None and now is not None and differ(was, now):
            last = max(self.failing.hits(self.now), key=lambda hit: hit.order, default=None)
            line = last.line if last else self.now.code.first_line
            key, call = (self.failing.ends[self.now.id], 4), self.failing.calls[self.now.id]
            name = self.now.code.name
            yield self._found(key, _Point(None, None), "result", line, call, name, *_told(was, now))

    def _body(self, forth: _Lines, back: _Lines) -> Iterator[_Found]:
        """`forth` gives the line in the failing text for one of the good text, `back` the other way."""
        was, now = self.good.hits(self.was), self.failing.hits(self.now)
        points = [_Point(None, None)]
        points += _points(
            [hit for hit in was if forth(hit.line)], [hit for hit in now if back(hit.line)], forth
        )
        for begin, end in pairwise(points):
            made = _between(was, begin.was, end.was), _between(now, begin.now, end.now)
            yield from self._raised(begin, end)
            yield from self._values(*made, end, back)
        if len(points) > 1 and not _together(points[-1], forth):
            yield from self._parted(now, points[-1], forth, back)

    def _when(self, point: _Point) -> float:
        return self.failing.ends[self.now.id] if point.now is None else point.now.order - 0.5

    def _raised(self, begin: _Point, end: _Point) -> Iterator[_Found]:
        if begin.was and begin.now and begin.now.raised and not begin.was.raised:
            hit = begin.now
            key, told = (self._when(end), 2), ("", "", str(hit.raised))
            yield self._found(key, end, "raised", hit.line, hit.number, *told)

    def _values(self, was: Sequence[Hit], now: Sequence[Hit], end: _Point, back: _Lines) -> Iterator[_Found]:
        """What the hits between two points made of the variables, as it was at the second point."""
        broken = end.now is None and self.now.left_by != "return"
        names = dict.fromkeys(name for hit in (now if broken else (*now, *was)) for name in hit.changed)
        for name in names:
            before = self.good.value(self.was, name, end.was)
            after = self.failing.value(self.now, name, end.now)
            makers = [hit for hit in now if name in hit.changed] or list(now[:1])
            if name.startswith(("__", "@")) or before is None or after is None or not makers:
                continue
            if not differ(before, after):
                if before.cut or before.redacted or after.cut or after.redacted:
                    self.unseen.append((self._when(end), -self.now.id, 1))
                continue
            hit, uncertain = makers[-1], any(h.uncertain for h in (*was, *now) if name in h.changed)
            yield self._found(
                (self._when(end), 1), end, "value", hit.line, hit.number, name, *_told(before, after),
                edited=not back(hit.line), notes=(_GAP,) if uncertain else (),
            )  # fmt: skip

    def _parted(self, now: Sequence[Hit], at: _Point, forth: _Lines, back: _Lines) -> Iterator[_Found]:
        """The runs went on to different lines, which only tells when no line ran unrecorded."""
        ended = (at.was is None and self.was.left_by == "open") or (
            at.now is None and self.now.left_by != "return"
        )
        if ended or self.good.gap_before(self.path, at.was) or self.failing.gap_before(self.path, at.now):
            return
        before = [hit for hit in now if at.now is None or hit.order < at.now.order]
        if before:
            hit = before[-1]
            was = _onwards(forth(at.was.line) if at.was else None, self.was)
            gone = _onwards(at.now.line if at.now else None, self.now)
            key = (self._when(at), 3)
            told, edited = ("", was, gone), not back(hit.line)
            yield self._found(key, at, "branch", hit.line, hit.number, *told, edited=edited)


_UNSEEN = "values before it were recorded only in part"
_GAP = "lines that were not recorded ran in between"
_Lines = Callable[[int], int | None]


def _lines(good: Trace, failing: Trace, path: Path) -> tuple[_Lines, _Lines] | None:
    """How lines of the two texts of a file correspond; None when that cannot be known."""
    if good.files.get(path) == failing.files.get(path):
        return (lambda line: line), (lambda line: line)
    was, now = good.sources.get(path), failing.sources.get(path)
    if was is None or now is None:
        return None
    lines = line_map(was, now)
    return lines.now, lines.ran


def _points(was: Sequence[Hit], now: Sequence[Hit], forth: _Lines) -> Iterator[_Point]:
    """The hits side by side, up to and with the first pair whose lines are not the same."""
    for one, other in zip_longest(was, now):
        point = _Point(one, other)
        yield point
        if not _together(point, forth):
            return
    yield _Point(None, None)


def _together(point: _Point, forth: _Lines) -> bool:
    if point.was is None or point.now is None:
        return point.was is point.now
    return forth(point.was.line) == point.now.line


def _between(hits: Sequence[Hit], begin: Hit | None, end: Hit | None) -> list[Hit]:
    first = bisect_left(hits, begin.order, key=_order) if begin else 0
    return list(hits[first : bisect_left(hits, end.order, key=_order) if end else len(hits)])


def _order(hit: Hit) -> int:
    return hit.order


def _onwards(line: int | None, frame: Frame) -> str:
    if line is not None:
        return f"line {line}"
    return "the end of the function" if frame.left_by == "return" else "its end by an exception"


def _told(was: Value, now: Value) -> tuple[str, str]:
    """The texts of two values that differ; with more where the texts alone do not show it."""
    return (was.text, now.text) if was.text != now.text else (_whole(was), _whole(now))


def _whole(value: Value) -> str:
    more = [value.type, *([f"shape {value.shape}"] if value.shape else [])]
    more += [f"length {value.length}"] if value.length is not None else []
    return f"{value.text} ({', '.join(more)})"
