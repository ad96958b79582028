"""What ran: the records of frames and lines, folded into frames and hits.

A record's values are the effect of the line *before* it (see `wire.py`), so a hit is complete only
when the next record of its frame has been read: hits are kept as mutable rows until the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field

from backtrail_tracer.shapes import NOTHING, Malformed, Values, int_of, optional_int, text_of
from backtrail_tracer.trace import Code, Frame, Hit, Value


@define
class _Row:
    """A hit that may still change. Fields as in `Hit`."""

    frame: int
    line: int
    number: int
    time_us: int
    changed: dict[str, Value] | Mapping[str, Value] = NOTHING
    uncertain: bool = False
    raised: str | None = None
    order: int = 0
    found: Mapping[str, Value] = NOTHING
    after_gap: bool = False

    def hit(self) -> Hit:
        return Hit(
            self.frame, self.line, self.number, self.time_us, self.changed, self.uncertain, self.raised,
            self.order, self.found, self.after_gap,
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
    counts: dict[int, int]  # line -> the number of its last hit, of all frames of the code
    left_us: int | None = None
    left_by: Any = "open"
    result: Value | None = None
    last: _Row | None = None
    known: dict[str, Value] = field(factory=dict)  # in a second pass: its variables as last told
    since: int = 0  # and how many events came since the last record that was written at once


@define
class Activity:
    """One method a record, which may raise what `Fold.add` catches.

    `rings` says that the log is of a second pass: then a record may tell a variable that has not changed.
    """

    rings: bool
    values: Values
    codes: Mapping[int, Code]
    item: int | None = None  # the current one
    since: int | None = None  # of the record in the ring that is being read
    _activations: dict[int, _Activation] = field(factory=dict)
    _rows: list[_Row | Hit] = field(factory=list)
    _counts: dict[int, dict[int, int]] = field(factory=dict)  # by code
    _time: int = 0  # of the last line

    def begin_item(self, number: int) -> None:
        self.item = number
        for counts in self._counts.values():
            counts.clear()

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

    def on_call(self, record: list[Any]) -> None:
        _, number, parent, code, thread, t, arguments, late = record
        named = self.values.named(arguments)
        self._activations[int_of(number)] = frame = _Activation(
            number,
            optional_int(parent),
            self.codes[code],
            self.item,
            int_of(thread),
            int_of(t),
            named,
            bool(late),
            counts=self._counts.setdefault(code, {}),
        )
        if self.rings:
            frame.known = dict(named)

    def on_line(self, record: list[Any]) -> None:
        _, number, line, count, t, changed, gap = record
        frame = self._activations[number]
        if count is None:
            count = frame.counts.get(line, 0) + 1
        if type(line) is not int or type(count) is not int or type(t) is not int:
            raise Malformed("line")
        frame.counts[line] = count
        self._time = t
        self._reach(frame, _Row(number, line, count, t, order=len(self._rows)), changed, gap)

    def on_again(self, record: list[Any]) -> None:
        _, number, line, changed, *time = record
        if time:
            self._time = int_of(*time)
        frame = self._activations[number]
        count = frame.counts[line] = frame.counts.get(line, 0) + 1
        self._reach(frame, _Row(number, line, count, self._time, order=len(self._rows)), changed, False)

    def _reach(self, frame: _Activation, row: _Row, changed: Any, gap: Any) -> None:
        if changed or self.rings:
            self._effect(frame, changed, gap, row)
        if frame.last is not None:
            # Complete now. Made into a hit at once, it leaves half as many objects to the garbage
            # collector, which is most of the time that a long log takes.
            self._rows[frame.last.order] = frame.last.hit()
        self._rows.append(row)
        frame.last = row

    def _effect(self, frame: _Activation, changed: Any, gap: Any, reached: _Row | None = None) -> None:
        """Puts a change on the hit that made it, the frame's last one."""
        named = self.values.named(changed)
        if self.rings:
            named, gap = self._news(frame, named, gap)
            if reached is not None:
                reached.after_gap = gap
        if not named:
            return
        row = frame.last
        if self.rings and gap and reached is not None:
            reached.found = named  # which of the lines in between made it is not known
        elif row is not None:
            row.changed = {**row.changed, **named} if row.changed else named
            row.uncertain = row.uncertain or bool(gap)
        elif reached is not None:
            reached.found = named

    def _news(
        self, frame: _Activation, named: Mapping[str, Value], gap: Any
    ) -> tuple[dict[str, Value], bool]:
        """Of the variables of a record in a second pass, those that changed since the frame's last record
        that is here; and whether there were events in between that are not."""
        news = {name: value for name, value in named.items() if frame.known.get(name) != value}
        frame.known.update(news)
        if self.since is not None:
            missing = self.since != frame.since + 1
            frame.since = self.since
        else:
            missing = bool(gap) and gap != frame.since
            frame.since = 0
        return news, missing

    def _leave(self, number: Any, t: Any, changed: Any, gap: Any, how: str) -> _Activation:
        frame = self._activations[number]
        frame.left_us, frame.left_by = int_of(t), how
        self._effect(frame, changed, gap)
        return frame

    def on_return(self, record: list[Any]) -> None:
        _, number, _line, t, value, changed, gap = record
        result = None if value is None else self.values.value(value)
        self._leave(number, t, changed, gap, "return").result = result

    def on_unwind(self, record: list[Any]) -> None:
        _, number, _line, t, changed, gap = record
        self._leave(number, t, changed, gap, "unwind")

    def on_yield(self, record: list[Any]) -> None:
        _, number, _line, _t, _value, changed, gap = record
        self._effect(self._activations[number], changed, gap)

    def on_resume(self, record: list[Any]) -> None:
        self._activations[record[1]]  # a frame that nobody entered makes no sense

    def on_raise(self, record: list[Any]) -> None:
        _, number, line, _t, kind, message = record
        row = self._activations[number].last
        if row is not None and row.line == int_of(line):
            said = text_of(message)
            row.raised = f"{text_of(kind)}: {said}" if said else text_of(kind)
