"""The trace of one run, as frozen data, and the questions one can ask of it.

A `Trace` is made from a log by `reader.py` and never changes. It is honest about two things: its
age (each file carries the hash of the text that ran) and its limits (what was not kept, and why).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from attrs import field, frozen

Outcome = Literal["passed", "failed", "error", "skipped", "stopped"]
Status = Literal["completed", "failed", "usage", "stopped", "timeout", "killed", "died", "cancelled"]
"""How a run ended. `completed`: all went well. `failed`: a test failed or an exception was not caught.
`usage`: the entry could not be run at all. `stopped`: the guard stopped it. `timeout`: the wall or CPU
limit. `killed`: the memory, output or process limit. `died`: it ended itself (os._exit, a signal)."""


@frozen
class Value:
    """A recorded value: the type's name, a safe rendering, and what is known beyond the text."""

    type: str
    text: str
    id: int | None = None  # tells one mutable object from another within the run
    length: int | None = None
    shape: str | None = None
    cut: bool = False
    redacted: bool = False

    def __str__(self) -> str:
        return self.text


@frozen
class Code:
    """A traced code object."""

    path: Path
    name: str  # qualified
    first_line: int


@frozen
class Frame:
    """One activation of a traced code object."""

    id: int
    parent: int | None
    code: Code
    item: int | None  # the test it ran in
    thread: int
    entered_us: int
    arguments: Mapping[str, Value]
    late: bool
    left_us: int | None = None
    left_by: Literal["return", "unwind", "open"] = "open"
    result: Value | None = None
    process: int = 0  # 0: the program itself; else the n-th of its child processes


@frozen
class Hit:
    """One recorded execution of a line in a frame, with the effect it had.

    `changed` holds the variables that had another value after the line than before it. When
    `uncertain` is true, lines that went unrecorded ran in between and may have made the change.
    `found` holds variables that were first seen when this line was reached, set by lines of the frame
    that went unrecorded: before any of its hits, or between the first and the last hits of a second pass.
    """

    frame: int
    line: int
    number: int  # the n-th hit of this line in its item, from 1; those of child processes come after
    time_us: int
    changed: Mapping[str, Value]
    uncertain: bool = False
    raised: str | None = None  # "TypeError: ..." when an exception left the line
    order: int = 0  # position in the run: a later hit has a greater one
    found: Mapping[str, Value] = field(factory=dict)
    after_gap: bool = False  # in a second pass: lines of the frame ran unrecorded since its previous hit


@frozen
class Item:
    """One test, doctest example or script run."""

    id: int
    name: str
    path: Path | None
    line: int
    outcome: Outcome | None  # None: the run ended inside it
    seconds: float
    message: str = ""


@frozen
class FailureFrame:
    path: Path
    line: int
    end_line: int
    col: int  # UTF-8 bytes, as in ast; -1 when unknown
    end_col: int
    name: str
    locals: Mapping[str, Value]
    traced: bool

    @property
    def telling(self) -> Mapping[str, Value]:
        """The locals that say something of the person's program: not what a TestCase holds of unittest's."""
        return {
            name: value for name, value in self.locals.items() if "(_testMethodName=" not in value.text[:80]
        }


@frozen
class Operand:
    """A part of a check that failed: its source text, and what it was."""

    text: str
    value: Value


@frozen
class Check:
    """What a check that failed asked for, as its source says, and what is known of its parts.

    `operator` is that of the comparison ("<", "not in", "is"), "" where the truth of an expression was asked
    for, "call" for an assertion method of another kind, and "raises" for an exception that did not come.
    """

    condition: str  # "stock > 0"; "parse('') raises ValueError"
    operator: str
    operands: tuple[Operand, ...] = ()  # literals, which say it themselves, are left out

    @property
    def words(self) -> str:
        """In words: "`stock > 0` is false: `stock` was 0"."""
        if self.operator == "raises":
            body, _, expected = self.condition.rpartition(" raises ")
            return f"`{body}` did not raise {expected}"
        if self.operands and self.operands[0].text == self.condition:
            value = self.operands[0].value
            more = "" if value.type == "bool" else ", which counts as false"
            return f"`{self.condition}` was {_short(value.text)}{more}"
        failed = "failed" if self.operator == "call" else "is false"
        return f"`{self.condition}` {failed}{self._told()}"

    def _told(self) -> str:
        alike = len(self.operands) == 2 and len({one.value.text for one in self.operands}) == 1
        types = len({one.value.type for one in self.operands}) > 1
        parts = [
            f"`{one.text}` was {_short(one.value.text)}" + (f" ({one.value.type})" if alike and types else "")
            for one in self.operands
        ]
        other = ", which is another object" if alike and self.operator == "is" else ""
        return (": " if parts else "") + ", ".join(parts) + other


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"


@frozen
class Failure:
    """An exception that nobody caught, or a failed test; frames run from the outermost inwards.

    `expected` and `actual` are there where two values were to be the same; `check` says of any check that
    failed what it asked for, where its source is known.
    """

    item: int | None
    type: str
    message: str
    frames: tuple[FailureFrame, ...]
    chain: tuple[str, ...] = ()  # the exceptions that led to it, "Type: message", nearest first
    expected: Value | None = None
    actual: Value | None = None
    check: Check | None = None

    @property
    def compared(self) -> tuple[Value, Value] | None:
        """Expected and actual, where they tell the failure; else `check` does."""
        if self.expected is None or self.actual is None:
            return None
        told = self.expected.text != self.actual.text or self.check is None
        return (self.expected, self.actual) if told else None

    @property
    def where(self) -> FailureFrame | None:
        """The innermost frame of the user's code, which is where an editor should point."""
        return next((frame for frame in reversed(self.frames) if frame.traced), None)

    @property
    def unparsed(self) -> Path | None:
        """The traced file that does not parse, where that is the failure."""
        is_syntax = self.type in ("SyntaxError", "IndentationError", "TabError")
        return self.frames[-1].path if is_syntax and self.frames and self.frames[-1].traced else None


@frozen
class Cap:
    """A line of which not all hits were recorded: the first ones, and after a second pass the last ones.

    `total` is 0 when nobody counted. Line 0 stands for lines of a function that were not followed.
    """

    path: Path
    line: int
    kept: int
    last: int = 0
    total: int = 0
    name: str = ""  # the function's, qualified

    @property
    def words(self) -> str:
        first = f"first {self.kept:,} hits" if self.kept != 1 else "first hit"
        if not self.total:
            return f"{first} kept"
        missing = self.total - self.kept - self.last
        then = f", then the last {self.last:,}" if self.last else ""
        return f"{first}{then} of {self.total:,} kept" + (f", {missing:,} in between not" if then else "")


@frozen
class SideEffect:
    """What the guard saw the program try."""

    kind: str
    detail: str
    path: Path | None
    line: int
    allowed: bool


@frozen
class Trace:
    """All that is known of one run."""

    run: str  # a unique id
    entry: str  # the entry's id
    status: Status
    message: str  # why it ended so, in words; empty when there is nothing to say
    python: str
    recorder: str
    reason: str  # why this recorder
    started: float  # seconds since the epoch
    seconds: float
    exit_code: int | None
    files: Mapping[Path, str]  # traced file -> SHA-256 of the text that ran
    items: tuple[Item, ...]
    frames: Mapping[int, Frame]
    hits: tuple[Hit, ...] = field(repr=False)
    failures: tuple[Failure, ...]
    caps: tuple[Cap, ...]
    limits: tuple[str, ...]  # "recording stopped after 100,000 events"
    side_effects: tuple[SideEffect, ...]
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    loose_ends: tuple[str, ...] = ()  # what the reader could not make sense of, never silently dropped
    sources: Mapping[Path, str] = field(factory=dict, repr=False)  # the text that ran, where it could be kept
    passes: Literal[1, 2] = 1  # 2: the entry was run again, and the last hits before the failure are here too
    again: str = ""  # what came of running it again, in words; empty when it was run once
    flaky: bool = False  # run again, it did not fail in the same way: this is the run that failed
    # Where it stood when it was ended or died, if it could say so: beyond a cap no hit tells.
    place: tuple[Path, int] | None = None

    @cached_property
    def _by_line(self) -> Mapping[Path, Mapping[int, tuple[Hit, ...]]]:
        table: dict[Path, dict[int, list[Hit]]] = {}
        for hit in self.hits:
            path = self.frames[hit.frame].code.path
            table.setdefault(path, {}).setdefault(hit.line, []).append(hit)
        return {path: {line: tuple(hits) for line, hits in lines.items()} for path, lines in table.items()}

    def lines(self, path: Path) -> Mapping[int, tuple[Hit, ...]]:
        """The recorded hits of each executed line of a file, in the order they happened."""
        return self._by_line.get(path, {})

    @cached_property
    def _by_frame(self) -> Mapping[int, tuple[Hit, ...]]:
        table: dict[int, list[Hit]] = {}
        for hit in self.hits:
            table.setdefault(hit.frame, []).append(hit)
        return {frame: tuple(hits) for frame, hits in table.items()}

    def hits_of(self, frame: int) -> Iterator[Hit]:
        """The recorded hits of one frame, in order."""
        return iter(self._by_frame.get(frame, ()))

    @cached_property
    def _changes(self) -> Mapping[tuple[int, str], tuple[list[int], list[Value]]]:
        """(frame, name) -> the orders from which on each value held, and the values."""
        table: dict[tuple[int, str], tuple[list[int], list[Value]]] = {}
        for hit in self.hits:
            for since, named in ((hit.order, hit.found), (hit.order + 1, hit.changed)):
                for name, value in named.items():
                    orders, values = table.setdefault((hit.frame, name), ([], []))
                    orders.append(since)
                    values.append(value)
        return table

    def variable(self, frame: Frame, name: str, order: int) -> Value | None:
        """What a variable of a frame was when the hit with that order was about to run."""
        orders, values = self._changes.get((frame.id, name), ((), ()))
        place = bisect_right(orders, order)
        return values[place - 1] if place else frame.arguments.get(name)

    @cached_property
    def _modules(self) -> Mapping[Path, Mapping[int, Frame]]:
        """File -> process -> frame."""
        table: dict[Path, dict[int, Frame]] = {}
        for frame in self.frames.values():
            if frame.code.name == "<module>":
                table.setdefault(frame.code.path, {})[frame.process] = frame
        return table

    def module_frame(self, path: Path, process: int = 0) -> Frame | None:
        """The frame that ran a file's top level; its last one when it ran several times. A forked process
        that has none goes on with the program's."""
        frames = self._modules.get(path, {})
        return frames.get(process) or frames.get(0) or next(iter(frames.values()), None)

    def index(self) -> Trace:
        """Builds what the questions need, so that the first one need not wait; call it in a thread."""
        _ = (self._by_line, self._by_frame, self._changes, self._modules)
        return self

    def cap_of(self, path: Path, line: int) -> Cap | None:
        return next((cap for cap in self.caps if cap.path == path and cap.line == line), None)

    @property
    def failed_items(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.outcome in ("failed", "error", "stopped"))

    @property
    def passed_items(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.outcome == "passed")
