"""What an editor asks of a trace: the values at a place, the last values, what ran, how old it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from backtrail_tracer.literals import literal_of, value_of
from backtrail_tracer.trace import Cap, Failure, FailureFrame, Frame, Hit, Trace, Value

_DEFINITIONS = frozenset({"function", "module", "type", "ABCMeta", "EnumType", "EnumMeta", "classmethod"})
"""Types of what `def`, `class` and `import` bind: nobody needs to be told their value."""


@frozen
class Series:
    """The values that one expression had at one place, in the order of the hits."""

    first: Value
    last: Value
    count: int  # of recorded hits
    types: tuple[str, ...]  # in order of appearance
    distinct: int  # how many different texts

    @staticmethod
    def of(values: Sequence[Value]) -> Series | None:
        if not values:
            return None
        types = tuple(dict.fromkeys(value.type for value in values))
        return Series(values[0], values[-1], len(values), types, len({value.text for value in values}))


@frozen
class Recorded:
    """What is known of an expression at a line. At least one of the three is set.

    `before` is what it was when the line was about to run, `after` what the line made of it (only where
    it was changed), `at_failure` what it was when the program failed. `notes` say, in words, what was
    not recorded, and when the values were.
    """

    expression: str
    line: int
    before: Series | None
    after: Series | None
    at_failure: Value | None
    notes: tuple[str, ...]

    @property
    def best(self) -> Series:
        """What to show when there is room for one: what the line made of it, else what it was."""
        series = self.after or self.before
        if series is not None:
            return series
        assert self.at_failure is not None
        return Series(self.at_failure, self.at_failure, 1, (self.at_failure.type,), 1)

    @property
    def first(self) -> Value:
        return self.best.first

    @property
    def last(self) -> Value:
        return self.best.last

    @property
    def count(self) -> int:
        return self.best.count

    @property
    def types(self) -> tuple[str, ...]:
        return self.best.types


@frozen
class Assigned:
    """The last value of a name at a line that assigned it.

    `capped` says that later assignments were not recorded; the value is then the one the frame was left
    with, if that is known (`uncertain`: another line may have made it).
    """

    line: int
    name: str
    value: Value
    count: int  # of recorded assignments
    capped: bool
    uncertain: bool
    item: int | None = None  # the test that it was in


def executed(trace: Trace, path: Path) -> set[int]:
    """The lines that ran, as far as recorded: a line that ran has at least its first hits."""
    return set(trace.lines(path)) | {cap.line for cap in trace.caps if cap.path == path}


# Values at a place.


def values_at(trace: Trace, path: Path, line: int, expression: str) -> Recorded | None:
    """What `expression` was at `line` (1-based), or None when the record cannot tell.

    Names are answered from what was recorded; subscripts of them are worked out where the container was
    recorded whole. Attributes are not recorded as such: the stopped program may be asked for these.
    """
    tree = _parsed(expression)
    if tree is None:
        return None
    hits = trace.lines(path).get(line, ())
    before = Series.of([value for hit in hits if (value := _at(trace, hit, tree, after=False))])
    changed = [hit for hit in hits if _changes(hit, tree)]
    after = Series.of([value for hit in changed if (value := _at(trace, hit, tree, after=True))])
    called: tuple[str, ...] = ()
    if before is None and isinstance(tree, ast.Name):
        before = Series.of(_arguments(trace, path, line, tree.id))
        called = ("as the function was called",) if before is not None else ()
    failed = _at_failure(trace, path, line, tree, hits)
    if before is None and after is None and failed is None:
        return None
    notes = _notes(trace, hits, changed, trace.cap_of(path, line))
    return Recorded(expression, line, before, after, failed, (*called, *notes))


def _parsed(expression: str) -> ast.expr | None:
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _names(tree: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _changes(hit: Hit, tree: ast.expr) -> bool:
    return any(name in hit.changed for name in _names(tree))


def _at(trace: Trace, hit: Hit, tree: ast.expr, *, after: bool) -> Value | None:
    if isinstance(tree, ast.Name):
        return _name_at(trace, hit, tree.id, after=after)
    return value_of(tree, lambda name: literal_of(_name_at(trace, hit, name, after=after)))


def _name_at(trace: Trace, hit: Hit, name: str, *, after: bool) -> Value | None:
    """A local of the hit's frame, else a variable of the module."""
    frame = trace.frames[hit.frame]
    order = hit.order + 1 if after else hit.order
    value = trace.variable(frame, name, order)
    if value is not None:
        return value
    module = trace.module_frame(frame.code.path, frame.process)
    return trace.variable(module, name, order) if module is not None else None


def _arguments(trace: Trace, path: Path, line: int, name: str) -> list[Value]:
    """In the signature of a function (decorators and all): what it was called with."""
    return [
        frame.arguments[name]
        for frame in trace.frames.values()
        if name in frame.arguments and frame.code.path == path and _is_head(trace, frame, line)
    ]


def _is_head(trace: Trace, frame: Frame, line: int) -> bool:
    body = next((hit.line for hit in trace.hits_of(frame.id)), frame.code.first_line + 1)
    return frame.code.first_line <= line < body


def _at_failure(trace: Trace, path: Path, line: int, tree: ast.expr, hits: Sequence[Hit]) -> Value | None:
    """From the locals of the frames of a failure, which are complete, for lines of the same function."""
    for failure in trace.failures:
        for frame in reversed(failure.frames):
            if frame.path == path and _same_function(trace, failure, frame, line, hits):
                value = _local(frame.locals, tree)
                if value is not None:
                    return value
    return None


def _same_function(
    trace: Trace, failure: Failure, frame: FailureFrame, line: int, hits: Sequence[Hit]
) -> bool:
    if frame.line <= line <= max(frame.line, frame.end_line):
        return True
    return any(
        code.name == frame.name or code.name.endswith(f".{frame.name}")
        for code in {trace.frames[hit.frame].code for hit in hits if _ran_in(trace, hit, failure)}
    )


def _ran_in(trace: Trace, hit: Hit, failure: Failure) -> bool:
    return failure.item is None or trace.frames[hit.frame].item == failure.item


def _local(variables: Mapping[str, Value], tree: ast.expr) -> Value | None:
    if isinstance(tree, ast.Name):
        return variables.get(tree.id)
    return value_of(tree, lambda name: literal_of(variables.get(name)))


def _notes(trace: Trace, hits: Sequence[Hit], changed: Sequence[Hit], cap: Cap | None) -> Iterator[str]:
    items = {trace.frames[hit.frame].item for hit in hits} - {None}
    if len(items) > 1:
        yield f"in {len(items)} tests"
    if cap is not None:
        yield f"{cap.words}{' of each test' if len(items) > 1 else ''}"
    processes = {trace.frames[hit.frame].process for hit in hits}
    if processes - {0}:
        some = "some " if 0 in processes else ""
        many = len(processes - {0})
        yield f"{some}in a child process" if many == 1 else f"{some}in {many} child processes"
    if any(hit.uncertain for hit in changed):
        yield "lines that were not recorded ran in between and may have changed it"


# Last values.


def last_values(trace: Trace, path: Path) -> tuple[Assigned, ...]:
    """The last value of each name at each line that assigned it, by line; for inlay hints.

    Where the first failing test ran a line, its values are given: they are what the person looks for.
    What `def`, `class` and `import` bind is left out.
    """
    found: list[Assigned] = []
    for line, hits in sorted(trace.lines(path).items()):
        for name in dict.fromkeys(name for hit in hits for name in hit.changed):
            assigned = _assigned(trace, path, line, name, hits)
            if assigned is not None and assigned.value.type not in _DEFINITIONS:
                found.append(assigned)
    return tuple(found)


def _of_failing(trace: Trace, hits: Sequence[Hit]) -> list[Hit]:
    failing = trace.failures[0].item if trace.failures else None
    return [hit for hit in hits if failing is not None and trace.frames[hit.frame].item == failing]


def _assigned(trace: Trace, path: Path, line: int, name: str, hits: Sequence[Hit]) -> Assigned | None:
    every = [hit for hit in hits if name in hit.changed]
    making = _of_failing(trace, every) or every
    certain = [hit for hit in making if not hit.uncertain]
    if not certain:
        return None  # another line may have made it, and a hint beside this one would be a lie
    capped = trace.cap_of(path, line) is not None
    item = trace.frames[making[-1].frame].item
    if not capped:
        return Assigned(line, name, certain[-1].changed[name], len(making), False, False, item)
    last = trace.variable(trace.frames[making[-1].frame], name, len(trace.hits))
    return Assigned(line, name, last or certain[-1].changed[name], len(making), True, True, item)


# For other modules: what a frame's caller is called.


def callers(trace: Trace, frame: Frame) -> Iterator[Frame]:
    """The recorded callers of a frame, nearest first; a log that lies about them cannot make this loop."""
    seen: set[int] = set()
    while frame.parent is not None and frame.parent in trace.frames and frame.parent not in seen:
        seen.add(frame.parent)
        frame = trace.frames[frame.parent]
        yield frame
