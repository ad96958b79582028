"""A `Trace` as bytes that can be kept, and back: compressed JSON with a version, never a pickle.

What the program printed is left out. It is the one part of a trace that no rule has looked through for
secrets, and a kept trace is there to be compared, not to be read aloud.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, fields

from backtrail_tracer.trace import (
    Cap,
    Code,
    Failure,
    FailureFrame,
    Frame,
    Hit,
    Item,
    SideEffect,
    Trace,
    Value,
)

VERSION = 1
_FASTEST = 1  # the texts repeat so much that a higher level saves little and takes three times as long
_MOST_BYTES = 512 * 1024 * 1024  # a few damaged bytes can ask for any amount of memory
_PLAIN = (
    "run", "entry", "status", "message", "python", "recorder", "reason", "started", "seconds", "exit_code",
)  # fmt: skip


class Unreadable(ValueError):
    """Bytes that are no trace of this version."""


def encode(trace: Trace) -> bytes:
    """The bytes of a trace. Values and code objects, which repeat, are written once and then numbered."""
    tables = _Writer()
    parts = {
        "items": [_row(item, path=_text(item.path)) for item in trace.items],
        "frames": [tables.frame(frame) for frame in trace.frames.values()],
        "hits": [tables.hit(hit) for hit in trace.hits],
        "failures": [tables.failure(failure) for failure in trace.failures],
        "caps": [_row(cap, path=str(cap.path)) for cap in trace.caps],
        "side_effects": [_row(effect, path=_text(effect.path)) for effect in trace.side_effects],
        "files": _texts(trace.files),
        "sources": _texts(trace.sources),
        "limits": trace.limits,
        "loose_ends": trace.loose_ends,
    }
    whole = {
        "version": VERSION,
        **{name: getattr(trace, name) for name in _PLAIN},
        **parts,
        "values": [_row(value) for value in tables.values],
        "codes": [_row(code, path=str(code.path)) for code in tables.codes],
    }
    return zlib.compress(json.dumps(whole, separators=(",", ":")).encode(), _FASTEST)


def decode(data: bytes) -> Trace:
    """Raises Unreadable for anything that `encode` of this version has not written."""
    try:
        unpacker = zlib.decompressobj()
        whole = json.loads(unpacker.decompress(data, _MOST_BYTES))
        if whole["version"] != VERSION:
            raise Unreadable(f"a trace of version {whole['version']!r:.20}, and this reads {VERSION}")
        return _Reader(whole).trace()
    except Unreadable:
        raise
    # What is damaged can be damaged in any way, and each of these means the same.
    except (zlib.error, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise Unreadable(f"a damaged trace: {type(error).__name__}: {error}") from error


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _texts(table: Mapping[Path, str]) -> dict[str, str]:
    return {str(path): text for path, text in table.items()}


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
        return [*when, changed, hit.uncertain, hit.raised, hit.order, found]

    def failure(self, failure: Failure) -> list[Any]:
        frames = [_row(f, path=str(f.path), locals=self._named(f.locals)) for f in failure.frames]
        values = {name: self._value(getattr(failure, name)) for name in ("expected", "actual")}
        return _row(failure, frames=frames, **values)


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
            stdout="",
            stderr="",
        )

    def _value(self, number: int | None) -> Value | None:
        return None if number is None else self._values[number]

    def _named(self, named: Mapping[str, int]) -> dict[str, Value]:
        return {name: self._values[number] for name, number in named.items()}

    def _frame(self, number: int, parent: int | None, code: int, *more: Any) -> Frame:
        item, thread, entered, arguments, late, left, left_by, result = more
        return Frame(
            number, parent, self._codes[code], item, thread, entered, self._named(arguments), late,
            left, left_by, self._value(result),
        )  # fmt: skip

    def _hit(self, *row: Any) -> Hit:
        frame, line, number, time_us, changed, uncertain, raised, order, found = row
        return Hit(
            frame, line, number, time_us, self._named(changed), uncertain, raised, order, self._named(found)
        )

    def _failure(self, *row: Any) -> Failure:
        item, kind, message, frames, chain, expected, actual = row
        return Failure(
            item, kind, message,
            tuple(self._failure_frame(*frame) for frame in frames),
            tuple(chain), self._value(expected), self._value(actual),
        )  # fmt: skip

    def _failure_frame(self, path: str, *row: Any) -> FailureFrame:
        *place, name, variables, traced = row
        line, end_line, col, end_col = place
        return FailureFrame(Path(path), line, end_line, col, end_col, name, self._named(variables), traced)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _paths(table: Mapping[str, str]) -> dict[Path, str]:
    return {Path(path): text for path, text in table.items()}
