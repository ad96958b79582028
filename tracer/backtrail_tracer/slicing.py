"""Dynamic backward slice: which recorded hits a value, or a failure, came from.

A hit depends on
* the hits that last gave their value to the names it reads, by variable name within a frame
  ("data"), through arguments into the caller ("argument") and through results into the callee ("return");
* the headers that let it run ("control");
* headers whose other branch would have changed a name it reads, or would have left the function,
  but did not ("omission"): what did not run leaves no record, yet it is where many bugs are.

Each kind has a cost; a hit's distance is the cheapest way to it from the criterion. Where lines
ran unrecorded, what is found may be stale and is marked uncertain.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from attrs import frozen

from backtrail_tracer import statements
from backtrail_tracer.statements import LOOPS, Statement, Statements
from backtrail_tracer.trace import Failure, Frame, Hit, Trace, Value

Why = Literal["criterion", "data", "argument", "return", "control", "omission"]
SourceOf = Callable[[Path], str]
"""The text of a file as it ran. May raise OSError; the file's own statements are then unknown."""

COST: Mapping[Why, float] = {
    "criterion": 0.0,
    "data": 1.0,
    "argument": 1.0,
    "return": 1.0,
    "control": 1.5,
    "omission": 2.0,
}
MAX_STEPS = 4000
"""A slice over more hits than this helps nobody; the nearest ones are kept."""


@frozen
class Step:
    """A hit of the slice, why it is in it, and how far from the criterion."""

    hit: Hit
    why: Why
    name: str  # the variable that links it to the step it was reached from; "" for control
    distance: float
    uncertain: bool


@frozen
class Slice:
    """Steps by distance, nearest first; ties in reverse order of time."""

    steps: tuple[Step, ...]
    complete: bool  # False when MAX_STEPS cut it

    def distances(self, trace: Trace) -> dict[tuple[Path, int], float]:
        """(file, line) -> distance of its nearest hit."""
        table: dict[tuple[Path, int], float] = {}
        for step in self.steps:
            table.setdefault((trace.frames[step.hit.frame].code.path, step.hit.line), step.distance)
        return table


class History:
    """Answers about the recorded past: what a name held, what ran when. Built once for a trace."""

    def __init__(self, trace: Trace, source_of: SourceOf) -> None:
        self.trace = trace
        self._source_of = source_of
        self._parsed: dict[Path, Statements] = {}
        self._hits: dict[int, list[Hit]] = {}
        self._writers: dict[int, dict[str, list[Hit]]] = {}
        self._headers: dict[int, list[list[Hit]]] = {}
        self._callees: dict[int, list[Frame]] = {}
        self._outer: dict[tuple[Path, str], list[Frame]] = {}
        for hit in sorted(trace.hits, key=lambda hit: hit.order):
            self._hits.setdefault(hit.frame, []).append(hit)
        for frame in trace.frames.values():
            if (site := self.call_site(frame)) is not None:
                self._callees.setdefault(site.order, []).append(frame)
        self._capped = self._capped_functions()

    def _capped_functions(self) -> set[tuple[Path, int]]:
        """(file, first line) of the functions in which a line reached its cap."""
        found = ((cap.path, self.statements(cap.path).at(cap.line)) for cap in self.trace.caps)
        return {(path, statement.function_line) for path, statement in found if statement is not None}

    def statements(self, path: Path) -> Statements:
        if path not in self._parsed:
            self._parsed[path] = statements.parse(self.text(path))
        return self._parsed[path]

    def text(self, path: Path) -> str:
        """The source as it ran; empty when it cannot be had."""
        try:
            return self._source_of(path)
        except OSError:
            return ""

    def statement(self, hit: Hit) -> Statement | None:
        return self.statements(self.path(hit)).at(hit.line)

    def path(self, hit: Hit) -> Path:
        return self.trace.frames[hit.frame].code.path

    def hits(self, frame: int) -> list[Hit]:
        return self._hits.get(frame, [])

    def headers(self, frame: int, order: int) -> Iterator[tuple[Hit, Statement]]:
        """The last hit before `order` of each compound header of a frame, latest first."""
        if frame not in self._headers:
            table: dict[int, list[Hit]] = {}
            for hit in self.hits(frame):
                header = self.statements(self.path(hit)).header_at(hit.line)
                if header is not None:
                    table.setdefault(header.line, []).append(hit)
            self._headers[frame] = list(table.values())
        last = (_last_before(hits, order) for hits in self._headers[frame])
        for hit in sorted((hit for hit in last if hit is not None), key=lambda hit: -hit.order):
            header = self.statements(self.path(hit)).header_at(hit.line)
            if header is not None:
                yield hit, header

    def following(self, hit: Hit) -> Hit | None:
        """The next hit of the same frame."""
        hits = self.hits(hit.frame)
        at = bisect_right(hits, hit.order, key=lambda one: one.order)
        return hits[at] if at < len(hits) else None

    def value(self, frame: int, name: str, order: int) -> Value | None:
        """What `name` held when the hit of that order was about to run, as far as recorded."""
        return self.trace.variable(self.trace.frames[frame], name, order)

    def definition(self, frame: int, name: str, order: int) -> Hit | None:
        """The hit before `order` that last wrote `name`, by the record or by the text of its statement."""
        return _last_before(self._writers_of(frame).get(name, []), order)

    def _writers_of(self, frame: int) -> dict[str, list[Hit]]:
        if frame not in self._writers:
            table: dict[str, list[Hit]] = {}
            for hit in self.hits(frame):
                covering = self.statements(self.path(hit)).covering(hit.line) if hit.raised is None else ()
                by_text = {name for statement in covering for name in statement.writes}
                for name in by_text | set(hit.changed):
                    table.setdefault(name, []).append(hit)
            self._writers[frame] = table
        return self._writers[frame]

    def outer_frames(self, frame: Frame) -> list[Frame]:
        """The frames of the same file whose variables the code of `frame` can see."""
        key = (frame.code.path, frame.code.name)
        if key not in self._outer:
            self._outer[key] = [
                one
                for one in self.trace.frames.values()
                if one.code.path == frame.code.path
                and (one.code.name == "<module>" or frame.code.name.startswith(one.code.name + "."))
            ]
        return [one for one in self._outer[key] if one.id != frame.id]

    def call_site(self, frame: Frame) -> Hit | None:
        """The hit of the caller during which `frame` was entered."""
        if frame.parent is None:
            return None
        own = self.hits(frame.id)
        callers = self.hits(frame.parent)
        if own:
            at = bisect_left(callers, own[0].order, key=lambda hit: hit.order)
        else:
            at = bisect_right(callers, frame.entered_us, key=lambda hit: hit.time_us)
        return callers[at - 1] if at else None

    def callees(self, hit: Hit) -> list[Frame]:
        """The frames that were entered while `hit` ran."""
        return self._callees.get(hit.order, [])

    def doubtful(self, frame: int) -> bool:
        """Whether lines of this frame's function may have run unrecorded."""
        code = self.trace.frames[frame].code
        return (code.path, code.first_line) in self._capped


def _last_before(hits: list[Hit], order: int) -> Hit | None:
    at = bisect_left(hits, order, key=lambda hit: hit.order)
    return hits[at - 1] if at else None


def failure_hit(history: History, failure: Failure) -> Hit | None:
    """The recorded hit of the line at which the failure left the user's code, or None."""
    for place in reversed(failure.frames):
        if not place.traced:
            continue
        lines = range(place.line, max(place.line, place.end_line) + 1)
        found = [hit for line in lines for hit in history.trace.lines(place.path).get(line, ())]
        own = [hit for hit in found if _belongs(history.trace, hit, failure, place.name)]
        if own:
            return max(own, key=lambda hit: hit.order)
    return _result_hit(history, failure)


def _result_hit(history: History, failure: Failure) -> Hit | None:
    """The end of the call that gave the wrong result, where the comparison itself was not recorded.

    That is so for a doctest: its example is no traced code, but the functions it calls are. Of several
    examples that gave the same result, the n-th belongs to the n-th such failure.
    """
    trace = history.trace
    if failure.actual is None or failure.actual.type != "str":
        return None
    tops = [f for f in trace.frames.values() if f.item == failure.item and f.parent is None and f.result]
    same = [f for f in tops if f.result and repr(f.result.text) == failure.actual.text and history.hits(f.id)]
    if not same:
        return None
    alike = [f for f in trace.failures if f.item == failure.item and f.actual == failure.actual]
    place = alike.index(failure) if failure in alike else 0
    return history.hits(same[min(place, len(same) - 1)].id)[-1]


def _belongs(trace: Trace, hit: Hit, failure: Failure, name: str) -> bool:
    frame = trace.frames[hit.frame]
    return frame.item == failure.item and frame.code.name.rpartition(".")[2] == name.rpartition(".")[2]


def slice_failure(history: History, failure: Failure) -> Slice:
    """The slice of a failure: of the values in the line that raised or asserted, and of its being reached."""
    hit = failure_hit(history, failure)
    return Slice((), True) if hit is None else backward_slice(history, hit)


def backward_slice(history: History, criterion: Hit, names: Iterable[str] | None = None) -> Slice:
    """What the values of `names` at a hit came from; by default of all names that its statement reads."""
    first = Step(criterion, "criterion", "", 0.0, False)
    best: dict[int, Step] = {}
    queue: list[tuple[float, int, int, Step]] = [(0.0, 0, 0, first)]
    count = 0
    while queue and len(best) < MAX_STEPS:
        step = heapq.heappop(queue)[3]
        if step.hit.order in best:
            continue
        best[step.hit.order] = step
        wanted = names if step is first else None
        for link in _Links(history, step.hit, wanted).all():
            if link.hit.order not in best:
                count += 1
                further = Step(
                    link.hit,
                    link.why,
                    link.name,
                    step.distance + COST[link.why],
                    step.uncertain or link.uncertain,
                )
                heapq.heappush(queue, (further.distance, -further.hit.order, count, further))
    return Slice(tuple(best.values()), not queue)


@frozen
class _Link:
    hit: Hit
    why: Why
    name: str
    uncertain: bool


class _Links:
    """The direct dependences of one hit."""

    def __init__(self, history: History, hit: Hit, names: Iterable[str] | None) -> None:
        self._history = history
        self._hit = hit
        self._frame = history.trace.frames[hit.frame]
        self._statement = history.statement(hit)
        self._of_file = history.statements(history.path(hit))
        reads = {name for one in self._of_file.covering(hit.line) for name in one.reads}
        self._names = sorted(reads if names is None else names)
        self._doubtful = history.doubtful(hit.frame)

    def all(self) -> Iterator[_Link]:
        for name in self._names:
            yield from self._data(name)
        yield from self._results()
        yield from self._control()

    def _data(self, name: str) -> Iterator[_Link]:
        found = self._history.definition(self._frame.id, name, self._hit.order)
        yield from self._omissions(name, found.order if found else -1)
        if found is not None:
            yield _Link(found, "data", name, found.uncertain or self._doubtful)
            yield from self._mutations(found, name)
        elif name in self._frame.arguments:
            site = self._history.call_site(self._frame)
            if site is not None:
                yield _Link(site, "argument", name, self._frame.late)
        else:
            yield from self._outer(name)

    def _outer(self, name: str) -> Iterator[_Link]:
        """A name of an enclosing function or of the module."""
        for frame in self._history.outer_frames(self._frame):
            found = self._history.definition(frame.id, name, self._hit.order)
            if found is not None:
                yield _Link(found, "data", name, True)

    def _mutations(self, site: Hit, name: str) -> Iterator[_Link]:
        """A callee that changed the very object which the caller knows as `name`."""
        value = site.changed.get(name)
        if value is None or value.id is None:
            return
        for callee in self._history.callees(site):
            for hit in reversed(self._history.hits(callee.id)):
                inner = next((n for n, v in hit.changed.items() if v.id == value.id), None)
                if inner is not None:
                    yield _Link(hit, "return", inner, hit.uncertain)
                    break

    def _results(self) -> Iterator[_Link]:
        for callee in self._history.callees(self._hit):
            hits = self._history.hits(callee.id)
            if hits:
                yield _Link(hits[-1], "return", callee.code.name, self._history.doubtful(callee.id))

    def _control(self) -> Iterator[_Link]:
        """The headers around the statement, and those that could have left the function or the loop."""
        if self._statement is None:
            return
        line = self._statement.line
        around = {header.line for header in self._of_file.controlling(self._statement)}
        for hit, header in self._history.headers(self._frame.id, self._hit.order):
            if header.line in around:
                yield _Link(hit, "control", "", self._doubtful)
            elif self._of_file.can_leave(header) and not header.controls(line):
                yield _Link(hit, "omission", "", self._doubtful)

    def _omissions(self, name: str, since: int) -> Iterator[_Link]:
        """Headers between the definition and here that could have changed `name`, and did not."""
        for hit, header in self._history.headers(self._frame.id, self._hit.order):
            if hit.order > since and name in self._of_file.written_inside(header):
                yield _Link(hit, "omission", name, self._doubtful)


def is_loop(statement: Statement) -> bool:
    return isinstance(statement.node, LOOPS)
