"""Dynamic backward slice: which recorded hits a value, or a failure, came from.

A hit depends on
* the hits that last gave their value to the names it reads, or changed the object that a name holds, by
  name within a frame and by identity across names and calls ("data"), through arguments into the caller
  ("argument") and through results into the callee ("return");
* the headers that let it run, and for an `except` block the hit that raised ("control");
* headers whose other branch would have changed a name it reads, or would have left the function,
  but did not ("omission"): what did not run leaves no record, yet it is where many bugs are.

Each kind has a cost; a hit's distance is the cheapest way to it from the criterion. Where lines
ran unrecorded, what is found may be stale and is marked uncertain.
"""

from __future__ import annotations

import ast
import heapq
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from attrs import frozen

from backtrail_tracer.history import History, SourceOf
from backtrail_tracer.statements import LOOPS, Statement
from backtrail_tracer.trace import Failure, FailureFrame, Hit, Trace

__all__ = [
    "History",
    "Slice",
    "SourceOf",
    "Step",
    "backward_slice",
    "failure_hit",
    "is_loop",
    "slice_failure",
]

Why = Literal["criterion", "data", "argument", "return", "control", "omission"]
COST: Mapping[Why, float] = {
    "criterion": 0.0,
    "data": 1.0,
    "argument": 1.0,
    "return": 1.0,
    "control": 1.5,
    "omission": 2.0,
}
_END = 1 << 60
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
    of: int | None = None  # the order of the hit that it was reached from; None for the criterion


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


def failure_hit(history: History, failure: Failure) -> Hit | None:
    """The recorded hit of the line at which the failure left the user's code, or None."""
    return _failing(history, failure)[0]


def _failing(history: History, failure: Failure) -> tuple[Hit | None, FailureFrame | None]:
    """The same, and the frame of the traceback that it stands for, where there is one."""
    for place in reversed(failure.frames):
        if not place.traced:
            continue
        lines = range(place.line, max(place.line, place.end_line) + 1)
        found = [hit for line in lines for hit in history.trace.lines(place.path).get(line, ())]
        own = [hit for hit in found if _belongs(history.trace, hit, failure, place.name)]
        if own:
            return max(own, key=lambda hit: hit.order), place
    return _result_hit(history, failure), None


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
    """The slice of a failure: of the operands that it is about, and of its line being reached."""
    hit, place = _failing(history, failure)
    if hit is None:
        return Slice((), True)
    return backward_slice(history, hit, _operands(history, hit, place))


def _operands(history: History, hit: Hit, place: FailureFrame | None) -> frozenset[str] | None:
    """What a failing assertion compares, or what the expression that raised reads; None: all of the line."""
    statement = history.statement(hit)
    if statement is None or place is None:
        return None
    node = statement.node
    if isinstance(node, ast.Assert):
        test = node.test
        return statement.reads_within((test.lineno, test.col_offset), _end(test)) or None
    if place.col < 0 or place.end_col < 0:
        return None
    return statement.reads_within((place.line, place.col), (place.end_line, place.end_col)) or None


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


def backward_slice(
    history: History, criterion: Hit, names: Iterable[str] | None = None, until: int | None = None
) -> Slice:
    """What the values of `names` at a hit came from; by default of all names that its statement reads.

    `until` is the order of the first hit that is too late to have had a part in it.
    """
    first = Step(criterion, "criterion", "", 0.0, False)
    best: dict[int, Step] = {}
    opened: dict[int, int] = {}  # hit -> up to which order what it depends on has been looked at
    queue: list[tuple[float, int, int, int, Step]] = [(0.0, 0, 0, _END if until is None else until, first)]
    count = 0
    while queue and len(best) < MAX_STEPS:
        *_, end, step = heapq.heappop(queue)
        if opened.get(step.hit.order, -1) >= end:
            continue
        opened[step.hit.order] = end
        best.setdefault(step.hit.order, step)
        for link in _Links(history, step.hit, names if step is first else None).all():
            limit = min(end, link.until)
            if link.hit.order < end and opened.get(link.hit.order, -1) < limit:
                count += 1
                further = _further(step, link)
                heapq.heappush(queue, (further.distance, -further.hit.order, count, limit, further))
    return Slice(tuple(best.values()), not queue)


def _further(step: Step, link: _Link) -> Step:
    distance = step.distance + COST[link.why]
    return Step(link.hit, link.why, link.name, distance, step.uncertain or link.uncertain, step.hit.order)


@frozen
class _Link:
    hit: Hit
    why: Why
    name: str
    uncertain: bool
    until: int = _END  # later hits cannot have had a part in it: the call that it led to had begun


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

    def all(self) -> Iterator[_Link]:
        for name in self._names:
            yield from self._data(name)
        yield from self._results()
        yield from self._control()

    def _doubt(self, earlier: Hit) -> bool:
        """Whether lines of the frame may have run unrecorded between an earlier hit of it and this one."""
        return self._history.doubtful(self._frame.id, earlier.order, self._hit.order)

    def _data(self, name: str) -> Iterator[_Link]:
        found = self._history.definition(self._frame.id, name, self._hit.order)
        yield from self._omissions(name, found.order if found else -1)
        if not self._is_own(name):
            yield from self._shared(name, found)
        while found is not None:
            yield _Link(found, "data", name, found.uncertain or self._doubt(found))
            yield from self._mutations(found, name)
            yield from self._imported(found, name)
            if self._tells(found, name):
                return
            found = self._history.definition(self._frame.id, name, found.order)
        if name in self._frame.arguments:
            site = self._history.call_site(self._frame)
            if site is not None:
                began = self._history.hits(self._frame.id)[0].order
                yield _Link(site, "argument", name, self._frame.late, began)

    def _tells(self, hit: Hit, name: str) -> bool:
        """Whether the name stands in the statement. If not, its object was changed by another name there,
        and how this name came to that object is yet to be found."""
        covering = self._of_file.covering(hit.line)
        return not covering or any(name in one.binds or name in one.reads for one in covering)

    def _is_own(self, name: str) -> bool:
        """Whether only this frame can bind the name."""
        if name in self._frame.arguments:
            return True
        if self._statement is None or self._frame.code.name == "<module>":
            return False
        return self._of_file.is_local(name, self._statement.function, self._statement.function_line)

    def _shared(self, name: str, own: Hit | None) -> Iterator[_Link]:
        """A name of an enclosing function or of the module: who wrote it last, there or in another function.

        Which activation of an enclosing function is meant is not recorded, so it is uncertain.
        """
        path, since = self._frame.code.path, own.order if own else -1
        for frame in self._history.outer_frames(self._frame):
            found = self._history.definition(frame.id, name, self._hit.order)
            if found is not None and found.order > since:
                yield _Link(found, "data", name, frame.code.name != "<module>" or found.uncertain)
                yield from self._mutations(found, name)
                yield from self._imported(found, name)
        found = self._history.shared_definition(path, name, self._hit.order)
        if found is not None and found.order > since:
            yield _Link(found, "data", name, True)

    def _imported(self, found: Hit, name: str) -> Iterator[_Link]:
        theirs = self._history.imported(found, name)
        if theirs is not None:
            yield _Link(theirs, "data", name, theirs.uncertain)

    def _mutations(self, site: Hit, name: str) -> Iterator[_Link]:
        """Callees, however deep, that changed the very object which the caller knows as `name`."""
        value = site.changed.get(name) or self._history.value(site.frame, name, site.order)
        if value is None or value.id is None:
            return
        waiting, seen = [site], {site.order}
        while waiting:
            for callee in self._history.callees(waiting.pop()):
                changed = self._history.change_of(callee.id, value.id)
                if changed is not None and changed[0].order not in seen:
                    hit, inner = changed
                    seen.add(hit.order)
                    waiting.append(hit)
                    yield _Link(hit, "return", inner, hit.uncertain)

    def _results(self) -> Iterator[_Link]:
        """The ends of the calls that the hit made, and where the generators stood that it took from."""
        for last in self._history.during(self._hit):
            name = self._history.trace.frames[last.frame].code.name
            for hit in self._history.result_hits(last.frame, self._hit.order, last.order):
                doubt = self._history.doubtful(last.frame, -1, hit.order)
                yield _Link(hit, "return", name, doubt)

    def _control(self) -> Iterator[_Link]:
        """The headers around the statement, and those that could have left the function or the loop."""
        if self._statement is None:
            return
        line = self._statement.line
        around = {header.line for header in self._of_file.controlling(self._statement)}
        for hit, header in self._history.headers(self._frame.id, self._hit.order):
            if header.line in around:
                yield _Link(hit, "control", "", self._doubt(hit))
            elif self._of_file.can_leave(header) and not header.controls(line):
                yield _Link(hit, "omission", "", self._doubt(hit))

        yield from self._raising()

    def _raising(self) -> Iterator[_Link]:
        """For a statement in an `except` block: the hit whose exception led there."""
        lines = self._of_file.handled(self._statement) if self._statement is not None else None
        if lines is not None:
            raising = self._history.raising(self._frame.id, self._hit.order, *lines)
            if raising is not None:
                yield _Link(raising, "control", "", self._doubt(raising))

    def _omissions(self, name: str, since: int) -> Iterator[_Link]:
        """Headers between the definition and here that could have changed `name`, and did not."""
        for hit, header in self._history.headers(self._frame.id, self._hit.order):
            if hit.order > since and name in self._of_file.written_inside(header):
                yield _Link(hit, "omission", name, self._doubt(hit))


def is_loop(statement: Statement) -> bool:
    return isinstance(statement.node, LOOPS)
