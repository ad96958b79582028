"""A `Trace` as bytes that can be kept, and back: compressed JSON lines with a version, never a pickle.

The first line holds what there is once, and each other line some rows of one table. Short lines are no
matter of taste: one call of the JSON module lets no other thread run until it is done, and the editor's
answers come from another thread.

What the program printed is left out. It is a part of a trace that no rule has looked through for
secrets, and a kept trace is there to be compared, not to be read aloud. The source texts are kept with
their secrets covered, line by line, so that a line with one counts as edited when it is compared.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import define, field, fields

from backtrail_probe.redact import MARK, Redactor
from backtrail_tracer.trace import (
    Cap,
    Check,
    Code,
    Failure,
    FailureFrame,
    Frame,
    Hit,
    Item,
    Operand,
    SideEffect,
    Trace,
    Value,
)

VERSION = 5
_FASTEST = 1  # the texts repeat so much that a higher level saves little and takes three times as long
_ROWS = 256  # of one line; some 50 KB, a fraction of a millisecond
_PIECE = 256 * 1024  # of unpacked bytes at a time
_MOST_BYTES = 512 * 1024 * 1024  # a few damaged bytes can ask for any amount of memory
_PLAIN = (
    "run", "entry", "status", "message", "python", "recorder", "reason", "started", "seconds", "exit_code",
    "passes", "again", "flaky",
)  # fmt: skip


class Unreadable(ValueError):
    """Bytes that are no trace of this version."""


def encode(trace: Trace) -> bytes:
    """The bytes of a trace. Values and code objects, which repeat, are written once and then numbered."""
    packer = zlib.compressobj(_FASTEST)
    packed = [packer.compress(line + b"\n") for line in _lines(trace)]
    return b"".join((*packed, packer.flush()))


def _lines(trace: Trace) -> Iterator[bytes]:
    tables = _Writer()
    place = None if trace.place is None else [str(trace.place[0]), trace.place[1]]
    yield _line({"version": VERSION, "place": place, **{name: getattr(trace, name) for name in _PLAIN}})
    yield from _table("items", (_row(item, path=_text(item.path)) for item in trace.items))
    yield from _table("frames", map(tables.frame, trace.frames.values()))
    yield from _table("hits", map(tables.hit, trace.hits))
    yield from _table("failures", map(tables.failure, trace.failures))
    yield from _table("caps", (_row(cap, path=str(cap.path)) for cap in trace.caps))
    yield from _table("side_effects", (_row(each, path=_text(each.path)) for each in trace.side_effects))
    yield from _table("files", ([str(path), digest] for path, digest in trace.files.items()))
    yield from _table("sources", _covered(trace.sources), most=1)
    for name in ("limits", "loose_ends"):
        yield from _table(name, iter(getattr(trace, name)))
    yield from _table("values", map(_row, tables.values))
    yield from _table("codes", (_row(code, path=str(code.path)) for code in tables.codes))


def _line(thing: object) -> bytes:
    return json.dumps(thing, separators=(",", ":")).encode()


def _table(name: str, rows: Iterable[Any], most: int = _ROWS) -> Iterator[bytes]:
    """Lines of [name, row, row, …]; one at least, so that no table is missing."""
    left = iter(rows)
    while some := list(islice(left, most)):
        yield _line([name, *some])
    yield _line([name])


def decode(data: bytes) -> Trace:
    """Raises Unreadable for anything that `encode` of this version has not written."""
    try:
        whole: dict[str, Any] | None = None
        for line in _unpacked(data):
            part = json.loads(line)
            if whole is None:
                if part["version"] != VERSION:
                    raise Unreadable(f"a trace of version {part['version']!r:.20}, and this reads {VERSION}")
                whole = part
            else:
                whole.setdefault(part[0], []).extend(part[1:])
        if whole is None:
            raise Unreadable("no trace at all")
        return _Reader(whole).trace()
    except Unreadable:
        raise
    # What is damaged can be damaged in any way, and each of these means the same.
    except (zlib.error, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise Unreadable(f"a damaged trace: {type(error).__name__}: {error}") from error


def _unpacked(data: bytes) -> Iterator[bytes]:
    """The lines, of which only a few are unpacked at a time."""
    unpacker, rest, total = zlib.decompressobj(), b"", 0
    while not unpacker.eof:
        piece = unpacker.decompress(data, _PIECE)
        data, total = unpacker.unconsumed_tail, total + len(piece)
        if total > _MOST_BYTES or (not piece and not data):
            break
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if rest or not unpacker.eof:
        raise Unreadable("a trace that breaks off, or is larger than any that is kept")


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _covered(sources: Mapping[Path, str]) -> Iterator[list[str]]:
    """Path and text, with secrets covered and every line in its place."""
    redactor = Redactor(os.environ)

    def mark(secret: str) -> str:
        return MARK + "\n" * secret.count("\n")

    for path, text in sources.items():
        yield [str(path), redactor.cover(text, mark)]


def _row(thing: Any, **other: Any) -> list[Any]:
    """The fields of an object in their order; `other` is written in the place of what JSON cannot hold."""
    names = [attribute.name for attribute in fields(type(thing))]
    return [other[name] if name in other else getattr(thing, name) for name in names]


@define
class _Writer:
    values: dict[Value, int] = field(factory=dict)
    codes: dict[Code, int] = field(factory=dict)

    def _value(self, value: Value | None) -> int | None:
        return None if value is None else self.values.setdefault(value, len(self.values))

    def _named(self, named: Mapping[str, Value]) -> dict[str, int | None]:
        return {name: self._value(value) for name, value in named.items()}

    def frame(self, frame: Frame) -> list[Any]:
        return _row(
            frame,
            code=self.codes.setdefault(frame.code, len(self.codes)),
            arguments=self._named(frame.arguments),
            result=self._value(frame.result),
        )

    def hit(self, hit: Hit) -> list[Any]:
        changed, found = self._named(hit.changed), self._named(hit.found)
        when = (hit.frame, hit.line, hit.number, hit.time_us)
        return [*when, changed, hit.uncertain, hit.raised, hit.order, found, hit.after_gap]

    def failure(self, failure: Failure) -> list[Any]:
        frames = [_row(f, path=str(f.path), locals=self._named(f.locals)) for f in failure.frames]
        values = {name: self._value(getattr(failure, name)) for name in ("expected", "actual")}
        return _row(failure, frames=frames, check=self._check(failure.check), **values)

    def _check(self, check: Check | None) -> list[Any] | None:
        if check is None:
            return None
        operands = [[one.text, self._value(one.value)] for one in check.operands]
        return [check.condition, check.operator, operands]


class _Reader:
    def __init__(self, whole: Mapping[str, Any]) -> None:
        self._whole = whole
        self._values = [Value(*row) for row in whole["values"]]
        self._codes = [Code(Path(path), name, line) for path, name, line in whole["codes"]]

    def trace(self) -> Trace:
        whole = self._whole
        frames = [self._frame(*row) for row in whole["frames"]]
        return Trace(
            **{name: whole[name] for name in _PLAIN},
            files=_paths(whole["files"]),
            sources=_paths(whole["sources"]),
            items=tuple(Item(n, name, _path(path), *rest) for n, name, path, *rest in whole["items"]),
            frames={frame.id: frame for frame in frames},
            hits=tuple(self._hit(*row) for row in whole["hits"]),
            failures=tuple(self._failure(*row) for row in whole["failures"]),
            caps=tuple(Cap(Path(path), *rest) for path, *rest in whole["caps"]),
            side_effects=tuple(
                SideEffect(kind, detail, _path(path), *rest)
                for kind, detail, path, *rest in whole["side_effects"]
            ),
            limits=tuple(whole["limits"]),
            loose_ends=tuple(whole["loose_ends"]),
            place=(Path(whole["place"][0]), whole["place"][1]) if whole["place"] else None,
            stdout="",
            stderr="",
        )

    def _value(self, number: int | None) -> Value | None:
        return None if number is None else self._values[number]

    def _named(self, named: Mapping[str, int]) -> dict[str, Value]:
        return {name: self._values[number] for name, number in named.items()}

    def _frame(self, number: int, parent: int | None, code: int, *more: Any) -> Frame:
        item, thread, entered, arguments, late, left, left_by, result, process = more
        return Frame(
            number, parent, self._codes[code], item, thread, entered, self._named(arguments), late,
            left, left_by, self._value(result), process,
        )  # fmt: skip

    def _hit(self, *row: Any) -> Hit:
        frame, line, number, time_us, changed, uncertain, raised, order, found, after_gap = row
        return Hit(
            frame, line, number, time_us, self._named(changed), uncertain, raised, order, self._named(found),
            after_gap,
        )  # fmt: skip

    def _failure(self, *row: Any) -> Failure:
        item, kind, message, frames, chain, expected, actual, check = row
        return Failure(
            item, kind, message,
            tuple(self._failure_frame(*frame) for frame in frames),
            tuple(chain), self._value(expected), self._value(actual), self._check(check),
        )  # fmt: skip

    def _check(self, row: list[Any] | None) -> Check | None:
        if row is None:
            return None
        condition, operator, operands = row
        return Check(condition, operator, tuple(Operand(text, self._values[n]) for text, n in operands))

    def _failure_frame(self, path: str, *row: Any) -> FailureFrame:
        *place, name, variables, traced = row
        line, end_line, col, end_col = place
        return FailureFrame(Path(path), line, end_line, col, end_col, name, self._named(variables), traced)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _paths(rows: Iterable[tuple[str, str]]) -> dict[Path, str]:
    return {Path(path): text for path, text in rows}
