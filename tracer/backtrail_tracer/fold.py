"""Folds the records of a log, one after another, into the parts of a `Trace`.

A record's values are the effect of the line *before* it (see `wire.py`), so a hit is complete only
when the next record of its frame has been read: hits are kept as mutable rows until the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from attrs import define, field, frozen

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
    Value,
)

_OUTCOMES = frozenset(get_args(Outcome))
_STATUSES = frozenset({"completed", "failed", "usage", "stopped"})
_LOOSE_ENDS = 20
_NOTHING: Mapping[str, Value] = {}


class Malformed(ValueError):
    """A record that does not have the shape that `wire.py` gives it."""


@frozen
class End:
    status: Status
    exit_code: int | None
    seconds: float
    message: str


@define
class _Row:
    """A hit that may still change. Fields as in `Hit`."""

    frame: int
    line: int
    number: int
    time_us: int
    changed: dict[str, Value] | Mapping[str, Value] = _NOTHING
    uncertain: bool = False
    raised: str | None = None
    order: int = 0
    found: Mapping[str, Value] = _NOTHING

    def hit(self) -> Hit:
        return Hit(
            self.frame, self.line, self.number, self.time_us, self.changed, self.uncertain, self.raised,
            self.order, self.found,
        )  # fmt: skip


@define
class _Activation:
    """A frame that may still change. Fields as in `Frame`."""

    id: int
    parent: int | None
    code: Code
    item: int | None
    thread: int
    entered_us: int
    arguments: Mapping[str, Value]
    late: bool
    left_us: int | None = None
    left_by: Any = "open"
    result: Value | None = None
    last: _Row | None = None


def _int(thing: Any) -> int:
    if type(thing) is not int:
        raise Malformed(f"not a whole number: {thing!r:.40}")
    return thing


def _number(thing: Any) -> float:
    if type(thing) not in (int, float):
        raise Malformed(f"not a number: {thing!r:.40}")
    return float(thing)


def text_of(thing: Any) -> str:
    """A string that can be sent anywhere: a lone surrogate would break the next encoder."""
    if type(thing) is not str:
        raise Malformed(f"not a text: {thing!r:.40}")
    return thing if thing.isascii() else thing.encode("utf-8", "replace").decode("utf-8")


def _table(thing: Any) -> dict[str, Any]:
    if type(thing) is not dict:
        raise Malformed(f"not a table: {thing!r:.40}")
    return thing


def _optional_int(thing: Any) -> int | None:
    return None if thing is None else _int(thing)


@define
class Fold:
    """Takes records in order by `add`; the parts of the trace can be asked for at any time."""

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
    _current: int | None = None
    _activations: dict[int, _Activation] = field(factory=dict)
    _rows: list[_Row | Hit] = field(factory=list)
    _values: dict[tuple[str, str], Value] = field(factory=dict)
    _loose: list[str] = field(factory=list)
    _loose_count: int = 0

    def add(self, record: Any) -> None:
        """Takes one record; one that makes no sense becomes a loose end."""
        try:
            # What the user's program could have written there is anything at all, so every way in which
            # taking a record apart can fail is the same: it is malformed.
            _HANDLERS[record[0]](self, record)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
            self._loose_end(record)

    def _loose_end(self, record: Any) -> None:
        self._loose_count += 1
        if self._loose_count <= _LOOSE_ENDS:
            self._loose.append(f"a record that makes no sense: {record!r:.120}")

    # What can be asked for.

    def loose_ends(self) -> tuple[str, ...]:
        more = self._loose_count - len(self._loose)
        return (*self._loose, f"and {more:,} more records that make no sense") if more else tuple(self._loose)

    def begin_text(self, key: str) -> str:
        thing = self._begin.get(key, "")
        return text_of(thing) if isinstance(thing, str) else ""

    def hashes(self) -> dict[Path, str]:
        return dict(self._files.values())

    def items(self) -> list[Item]:
        return list(self._items.values())

    def hits(self) -> tuple[Hit, ...]:
        return tuple(row.hit() if isinstance(row, _Row) else row for row in self._rows)

    def frames(self) -> dict[int, Frame]:
        return {
            a.id: Frame(
                a.id, a.parent, a.code, a.item, a.thread, a.entered_us, a.arguments, a.late,
                a.left_us, a.left_by, a.result,
            )
            for a in self._activations.values()
        }  # fmt: skip

    def last_place(self) -> tuple[Path, int] | None:
        """The last recorded line: where a program that was ended probably stood."""
        if not self._rows:
            return None
        row = self._rows[-1]
        return self._activations[row.frame].code.path, row.line

    # Values.

    def _value(self, thing: Any) -> Value:
        if len(thing) == 2:
            key = (thing[0], thing[1])
            known = self._values.get(key)
            if known is None:
                known = self._values[key] = Value(text_of(thing[0]), text_of(thing[1]))
            return known
        return self._rich_value(thing)

    def _rich_value(self, thing: Any) -> Value:
        kind, text, more = thing
        shape = more.get("shape")
        return Value(
            text_of(kind),
            text_of(text),
            _optional_int(more.get("id")),
            _optional_int(more.get("len")),
            None if shape is None else text_of(shape if isinstance(shape, str) else str(shape)),
            bool(more.get("cut")),
            bool(more.get("redacted")),
        )

    def _named(self, thing: Any) -> Mapping[str, Value]:
        return (
            {text_of(name): self._value(value) for name, value in _table(thing).items()}
            if thing
            else _NOTHING
        )

    # One method a record. All may raise what `add` catches.

    def _on_begin(self, record: list[Any]) -> None:
        self._begin = _table(record[1])
        self.begun = True
        self.started = _number(self._begin.get("started", 0.0))

    def _on_file(self, record: list[Any]) -> None:
        _, number, path, digest = record
        self._files[_int(number)] = Path(text_of(path)), text_of(digest)

    def _on_code(self, record: list[Any]) -> None:
        _, number, file, name, first_line = record
        self._codes[_int(number)] = Code(self._files[file][0], text_of(name), _int(first_line))

    def _on_item(self, record: list[Any]) -> None:
        _, number, name, path, line = record
        place = Path(text_of(path)) if path else None
        self._items[_int(number)] = Item(number, text_of(name), place, _int(line), None, 0.0)
        self._current = number

    def _on_done(self, record: list[Any]) -> None:
        _, number, outcome, seconds, message = record
        if outcome not in _OUTCOMES:
            raise Malformed(outcome)
        was = self._items[number]
        self._items[number] = Item(
            was.id, was.name, was.path, was.line, outcome, _number(seconds), text_of(message or "")
        )
        if self._current == number:
            self._current = None

    def _on_call(self, record: list[Any]) -> None:
        _, number, parent, code, thread, t, arguments, late = record
        self._activations[_int(number)] = _Activation(
            number,
            _optional_int(parent),
            self._codes[code],
            self._current,
            _int(thread),
            _int(t),
            self._named(arguments),
            bool(late),
        )

    def _on_line(self, record: list[Any]) -> None:
        _, number, line, count, t, changed, gap = record
        if type(line) is not int or type(count) is not int or type(t) is not int:
            raise Malformed("line")
        frame = self._activations[number]
        row = _Row(number, line, count, t, order=len(self._rows))
        if changed:
            self._effect(frame, changed, gap, row)
        if frame.last is not None:
            # Complete now. Made into a hit at once, it leaves half as many objects to the garbage
            # collector, which is most of the time that a long log takes.
            self._rows[frame.last.order] = frame.last.hit()
        self._rows.append(row)
        frame.last = row

    def _effect(self, frame: _Activation, changed: Any, gap: Any, reached: _Row | None = None) -> None:
        """Puts a change on the hit that made it, the frame's last one."""
        named = self._named(changed)
        if not named:
            return
        row = frame.last
        if row is not None:
            row.changed = {**row.changed, **named} if row.changed else named
            row.uncertain = row.uncertain or bool(gap)
        elif reached is not None:
            reached.found = named

    def _leave(self, number: Any, t: Any, changed: Any, gap: Any, how: str) -> _Activation:
        frame = self._activations[number]
        frame.left_us, frame.left_by = _int(t), how
        self._effect(frame, changed, gap)
        return frame

    def _on_return(self, record: list[Any]) -> None:
        _, number, _line, t, value, changed, gap = record
        result = None if value is None else self._value(value)
        self._leave(number, t, changed, gap, "return").result = result

    def _on_unwind(self, record: list[Any]) -> None:
        _, number, _line, t, changed, gap = record
        self._leave(number, t, changed, gap, "unwind")

    def _on_yield(self, record: list[Any]) -> None:
        _, number, _line, _t, _value, changed, gap = record
        self._effect(self._activations[number], changed, gap)

    def _on_resume(self, record: list[Any]) -> None:
        self._activations[record[1]]  # a frame that nobody entered makes no sense

    def _on_raise(self, record: list[Any]) -> None:
        _, number, line, _t, kind, message = record
        row = self._activations[number].last
        if row is not None and row.line == _int(line):
            said = text_of(message)
            row.raised = f"{text_of(kind)}: {said}" if said else text_of(kind)

    def _on_cap(self, record: list[Any]) -> None:
        _, code, line, kept = record
        self.caps.append(Cap(self._codes[code].path, _int(line), _int(kept)))

    def _on_limit(self, record: list[Any]) -> None:
        _, what, value, _t = record
        words = {
            "events": f"recording stopped after {_int(value):,} events",
            "bytes": f"recording stopped when the log had {_int(value):,} bytes",
            "depth": f"calls deeper than {_int(value):,} were not recorded",
        }
        self.limits.append(words.get(what) or f"recording stopped: {text_of(what)} {value}")

    def _on_failure(self, record: list[Any]) -> None:
        about = _table(record[1])
        values = {key: self._value(about[key]) if about.get(key) else None for key in ("expected", "actual")}
        self.failures.append(
            Failure(
                _optional_int(about.get("item")),
                text_of(about["type"]),
                text_of(about.get("message") or ""),
                tuple(self._failure_frame(_table(frame)) for frame in about.get("frames") or ()),
                tuple(text_of(link) for link in about.get("chain") or ()),
                **values,
            )
        )

    def _failure_frame(self, about: dict[str, Any]) -> FailureFrame:
        line = _int(about["line"])
        return FailureFrame(
            Path(text_of(about["path"])),
            line,
            _int(about.get("end_line", line)),
            _int(about.get("col", -1)),
            _int(about.get("end_col", -1)),
            text_of(about.get("name") or ""),
            self._named(about.get("locals") or {}),
            bool(about.get("traced")),
        )

    def _on_guard(self, record: list[Any]) -> None:
        about = _table(record[1])
        path = about.get("path")
        self.side_effects.append(
            SideEffect(
                text_of(about["kind"]),
                text_of(about.get("detail") or ""),
                Path(text_of(path)) if path else None,
                _int(about.get("line") or 0),
                bool(about.get("allowed")),
            )
        )

    def _on_postmortem(self, record: list[Any]) -> None:
        _table(record[1])  # of interest to the session, which waits for it, and not to the trace

    def _on_end(self, record: list[Any]) -> None:
        about = _table(record[1])
        if about["status"] not in _STATUSES:
            raise Malformed(about["status"])
        self.end = End(
            about["status"],
            _optional_int(about.get("exit_code")),
            _number(about.get("seconds", 0.0)),
            text_of(about.get("message") or ""),
        )


_HANDLERS: dict[str, Callable[[Fold, list[Any]], None]] = {
    name.removeprefix("_on_"): method for name, method in vars(Fold).items() if name.startswith("_on_")
}
