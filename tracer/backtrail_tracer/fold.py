"""Folds the records of a log, one after another, into the parts of a `Trace`.

What is known of the run as a whole is here; frames and lines are in `activity.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from attrs import define, field, frozen

from backtrail_tracer.activity import Activity
from backtrail_tracer.shapes import Malformed, Values, int_of, number_of, optional_int, table_of, text_of
from backtrail_tracer.trace import (
    Cap,
    Code,
    Failure,
    FailureFrame,
    Frame,
    Hit,
    Item,
    Outcome,
    SideEffect,
    Status,
)

_OUTCOMES = frozenset(get_args(Outcome))
_STATUSES = frozenset({"completed", "failed", "usage", "stopped"})
_LOOSE_ENDS = 20


@frozen
class End:
    status: Status
    exit_code: int | None
    seconds: float
    message: str


@define
class Fold:
    """Takes records in order by `add`; the parts of the trace can be asked for at any time.

    `rings` says that the log is of a second pass: then a record may tell a variable that has not changed.
    """

    rings: bool = False
    begun: bool = False
    end: End | None = None
    started: float = 0.0
    failures: list[Failure] = field(factory=list)
    caps: list[Cap] = field(factory=list)
    limits: list[str] = field(factory=list)
    side_effects: list[SideEffect] = field(factory=list)
    _begin: dict[str, Any] = field(factory=dict)
    _files: dict[int, tuple[Path, str]] = field(factory=dict)
    _codes: dict[int, Code] = field(factory=dict)
    _items: dict[int, Item] = field(factory=dict)
    _values: Values = field(factory=Values)
    _loose: list[str] = field(factory=list)
    _loose_count: int = 0
    _activity: Activity = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._activity = Activity(self.rings, self._values, self._codes)

    def add(self, record: Any) -> None:
        """Takes one record; one that makes no sense becomes a loose end."""
        try:
            # What the user's program could have written there is anything at all, so every way in which
            # taking a record apart can fail is the same: it is malformed.
            self._take(record)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
            self._loose_end(record)

    def _take(self, record: Any) -> None:
        handler = _OF_ACTIVITY.get(record[0])
        if handler is not None:
            handler(self._activity, record)
        else:
            _OF_RUN[record[0]](self, record)

    def _loose_end(self, record: Any) -> None:
        self._loose_count += 1
        if self._loose_count <= _LOOSE_ENDS:
            self._loose.append(f"a record that makes no sense: {record!r:.120}")

    # What can be asked for.

    def loose_ends(self) -> tuple[str, ...]:
        more = self._loose_count - len(self._loose)
        return (*self._loose, f"and {more:,} more records that make no sense") if more else tuple(self._loose)

    @property
    def origin_ns(self) -> int:
        """Where its times begin, on a clock that all processes of a system share."""
        origin = self._begin.get("t0", 0)
        return origin if type(origin) is int else 0

    def begin_text(self, key: str) -> str:
        thing = self._begin.get(key, "")
        return text_of(thing) if isinstance(thing, str) else ""

    def hashes(self) -> dict[Path, str]:
        return dict(self._files.values())

    def items(self) -> list[Item]:
        return list(self._items.values())

    def hits(self) -> tuple[Hit, ...]:
        return self._activity.hits()

    def frames(self) -> dict[int, Frame]:
        return self._activity.frames()

    def last_place(self) -> tuple[Path, int] | None:
        """The last recorded line: where a program that was ended probably stood."""
        return self._activity.last_place()

    # One method a record. All may raise what `add` catches.

    def _on_begin(self, record: list[Any]) -> None:
        self._begin = table_of(record[1])
        self.begun = True
        self.started = number_of(self._begin.get("started", 0.0))

    def _on_file(self, record: list[Any]) -> None:
        _, number, path, digest = record
        self._files[int_of(number)] = Path(text_of(path)), text_of(digest)

    def _on_code(self, record: list[Any]) -> None:
        _, number, file, name, first_line = record
        self._codes[int_of(number)] = Code(self._files[file][0], text_of(name), int_of(first_line))

    def _on_item(self, record: list[Any]) -> None:
        _, number, name, path, line = record
        place = Path(text_of(path)) if path else None
        self._items[int_of(number)] = Item(number, text_of(name), place, int_of(line), None, 0.0)
        self._activity.begin_item(number)

    def _on_done(self, record: list[Any]) -> None:
        _, number, outcome, seconds, message = record
        if outcome not in _OUTCOMES:
            raise Malformed(outcome)
        was = self._items[number]
        self._items[number] = Item(
            was.id, was.name, was.path, was.line, outcome, number_of(seconds), text_of(message or "")
        )
        if self._activity.item == number:
            self._activity.item = None

    def _on_ring(self, record: list[Any]) -> None:
        _, at, since, inner = record
        int_of(at)
        self._activity.since = int_of(since)
        try:
            self._take(inner)
        finally:
            self._activity.since = None

    def _on_cap(self, record: list[Any]) -> None:
        _, number, line, kept, *more = record
        code = self._codes[number]
        last, total = map(int_of, more or (0, 0))
        self.caps.append(Cap(code.path, int_of(line), int_of(kept), last, total, code.name))

    def _on_limit(self, record: list[Any]) -> None:
        _, what, value, _t = record
        words = {
            "events": f"recording stopped after {int_of(value):,} events",
            "bytes": f"recording stopped when the log had {int_of(value):,} bytes",
            "depth": f"calls deeper than {int_of(value):,} were not recorded",
            "forked children": "the program forked: what its child processes ran was not recorded",
            "other tracer": "the program set a tracer of its own: what ran under that was not recorded",
            "fresh children": "the program started a Python that its environment or its flags keep from "
            "being recorded, and the guard does not reach it",
        }
        self.limits.append(words.get(what) or f"recording stopped: {text_of(what)} {value or ''}".rstrip())

    def _on_failure(self, record: list[Any]) -> None:
        about = table_of(record[1])
        expected, actual = (
            self._values.value(about[key]) if about.get(key) else None for key in ("expected", "actual")
        )
        self.failures.append(
            Failure(
                optional_int(about.get("item")),
                text_of(about["type"]),
                text_of(about.get("message") or ""),
                tuple(self._failure_frame(table_of(frame)) for frame in about.get("frames") or ()),
                tuple(text_of(link) for link in about.get("chain") or ()),
                expected,
                actual,
            )
        )

    def _failure_frame(self, about: dict[str, Any]) -> FailureFrame:
        line = int_of(about["line"])
        return FailureFrame(
            Path(text_of(about["path"])),
            line,
            int_of(about.get("end_line", line)),
            int_of(about.get("col", -1)),
            int_of(about.get("end_col", -1)),
            text_of(about.get("name") or ""),
            self._values.named(about.get("locals") or {}),
            bool(about.get("traced")),
        )

    def _on_guard(self, record: list[Any]) -> None:
        about = table_of(record[1])
        path = about.get("path")
        self.side_effects.append(
            SideEffect(
                text_of(about["kind"]),
                text_of(about.get("detail") or ""),
                Path(text_of(path)) if path else None,
                int_of(about.get("line") or 0),
                bool(about.get("allowed")),
            )
        )

    def _on_postmortem(self, record: list[Any]) -> None:
        table_of(record[1])  # of interest to the session, which waits for it, and not to the trace

    def _on_end(self, record: list[Any]) -> None:
        about = table_of(record[1])
        if about["status"] not in _STATUSES:
            raise Malformed(about["status"])
        self.end = End(
            about["status"],
            optional_int(about.get("exit_code")),
            number_of(about.get("seconds", 0.0)),
            text_of(about.get("message") or ""),
        )


_OF_RUN: dict[str, Callable[[Fold, list[Any]], None]] = {
    name.removeprefix("_on_"): method for name, method in vars(Fold).items() if name.startswith("_on_")
}
_OF_ACTIVITY: dict[str, Callable[[Activity, list[Any]], None]] = {
    name.removeprefix("on_"): method for name, method in vars(Activity).items() if name.startswith("on_")
}
