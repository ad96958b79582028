"""The words beside a log, put as records between its lines.

Where every hit is kept most of them are told by numbers in a file of their own (see `wire.py`). Here they
become the `again` records that they stand for, so that what reads a log need not know of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from attrs import define, field, frozen

from backtrail_probe.wire import FRAME, INT, REAL, TIME, WORDS
from backtrail_tracer.shapes import int_of, text_of

_STEP, _VALUE, _WORDS = b'["step",', b'["value",', b'["words",'
_HEADS = (_STEP, _VALUE, _WORDS)
_FIRST_STEP = 1 << 16  # lesser words tell of no line
_CHANGES = 0xFFFF
_MOST, _BLOCK = 64 * 1024 * 1024, 256 * 1024


@frozen
class Words:
    """The numbers of one file. `ints` and `reals` are the same bytes: which it is, the heads tell."""

    heads: Sequence[int]
    ints: Sequence[int]
    reals: Sequence[float]


NONE = Words((), (), ())


def read_words(path: Path) -> Words:
    """The words beside the log at `path`; none where there is no such file."""
    try:
        with path.with_name(path.name + WORDS).open("rb") as file:
            quarter = os.fstat(file.fileno()).st_size // 4
            heads = memoryview(_heads(file, quarter)).cast("I")
            file.seek(quarter)
            data = file.read(8 * min(sum(map(_values_of, heads)), _MOST))
    except OSError:
        return NONE
    values = memoryview(data[: len(data) & ~7])
    return Words(heads, values.cast("q"), values.cast("d"))


def _heads(file: BinaryIO, size: int) -> bytes:
    """Up to the first nought."""
    found = b""
    while len(found) < min(size, _MOST) and not found.endswith(b"\0\0\0\0"):
        found += file.read(min(_BLOCK, size - len(found))) or bytes(4)
    words = memoryview(found[: len(found) & ~3]).cast("I").tolist()
    return found[: 4 * (words.index(0) if 0 in words else len(words))]


def _values_of(head: int) -> int:
    """How many values follow."""
    return ((head | head >> 1) & 0x5555).bit_count() if head >= _FIRST_STEP else 1


def woven(log: bytes, words: Words, most: int) -> bytes:
    """The log with the records of its words in their places, of not much more than `most` bytes.

    Of words that make no sense, and of what stands behind them, a record is left that makes none either.
    """
    if not words.heads:
        return log
    weaver = _Weaver(words, most - len(log))
    lines: list[bytes] = []
    for line in log.splitlines(keepends=True):
        lines += weaver.instead_of(line) if line.startswith(_HEADS) else (line,)
    return b"".join((*lines, *weaver.rest()))


@define
class _Weaver:
    """Takes the words in order. `_steps`: a line, and the variables (as JSON) that the one before may set."""

    _words: Words
    _room: int
    _steps: dict[int, tuple[int, tuple[str, ...]]] = field(factory=dict)
    _texts: dict[int, str] = field(factory=dict)
    _head: int = 0
    _value: int = 0
    _frame: int = 0
    _time: str = ""

    def instead_of(self, line: bytes) -> Iterator[bytes]:
        """What a line about words stands for; the line itself where that makes no sense."""
        try:
            if line.startswith(_WORDS):
                yield from self._upto(int_of(json.loads(line)[1]))
            elif line.startswith(_VALUE):
                number, value = line[len(_VALUE) : -2].split(b",", 1)
                self._texts[int(number)] = value.decode("ascii")
            else:
                _, number, at, names = json.loads(line)
                self._steps[int_of(number)] = int_of(at), tuple(json.dumps(text_of(name)) for name in names)
        except (ValueError, TypeError, LookupError, RecursionError):
            yield line

    def rest(self) -> Iterator[bytes]:
        """Those that no line tells of: the program was ended behind them."""
        return self.instead_of(b"%s%d]\n" % (_WORDS, len(self._words.heads)))

    def _upto(self, end: int) -> Iterator[bytes]:
        """The records of the words before the place `end`. Raises LookupError for one that makes no sense."""
        for word in self._words.heads[self._head : end]:
            if word >= _FIRST_STEP:
                record = self._again(word)
                self._room -= len(record)
                if self._room < 0:
                    raise LookupError("too many")
                yield record
            elif word == FRAME:
                self._frame = self._words.ints[self._next()]
            elif word == TIME:
                self._time = f",{self._words.ints[self._next()]}"
            else:
                raise LookupError(word)
            self._head += 1

    def _again(self, word: int) -> bytes:
        line, names = self._steps[word >> 16]
        bits = word & _CHANGES
        parts = []
        for name in names if bits else ():
            kind, bits = bits & 3, bits >> 2
            if kind:
                parts.append(f"{name}:{self._of_kind(kind)}")
        time, self._time = self._time, ""
        return f'["again",{self._frame},{line},{{{",".join(parts)}}}{time}]\n'.encode()

    def _of_kind(self, kind: int) -> str:
        at = self._next()
        if kind == INT:
            return f'["int","{self._words.ints[at]}"]'
        if kind == REAL:
            return f'["float","{self._words.reals[at]!r}"]'
        return self._texts[self._words.ints[at]]

    def _next(self) -> int:
        self._value += 1
        return self._value - 1
