"""The trace log: JSON lines in a memory-mapped file.

The kernel owns the pages, so whatever was written outlives SIGKILL, `os._exit` and a segmentation
fault. A record is written by one call into C, which no other thread and no signal handler can come
between; the file is zeros behind the last one, by which a reader finds the end (see `constants.py`).

Everything that is used here is bound at import: a program that replaces builtins, mocks `os` or
closes all descriptors must not break its own log.
"""

from __future__ import annotations

import mmap
import os
from time import perf_counter_ns

from .constants import LOG_HEADER_SIZE, LOG_MAGIC, WORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

UNBOUNDED = 1 << 30
"""What "no limit" comes to: a sparse file of 1 GiB, of which only written pages take room."""

RESERVE = 256 * 1024
"""Bytes at the end that only failures, item ends and the like may use, so that the end of a run is
told even when its events filled the log."""

_OUT_OF_THE_WAY = 64


class Log:
    """Appends records; never raises into the program. `t0` is the origin of all times, in ns.

    Events go through `write`, where nanoseconds count: it takes one record as bytes, and raises ValueError
    when there is no room left for events.
    """

    def __init__(self, path: str, limit: int = 0) -> None:
        """Raises OSError when the file cannot be made or mapped. Without a path it is memory nobody reads."""
        self.t0 = perf_counter_ns()
        self.words: Optional[Words] = None
        self._use(self._new(path, limit), LOG_HEADER_SIZE)

    def _new(self, path: str, limit: int) -> "list[Any]":
        """The maps of an empty log."""
        self._path, self.limit = path, limit or UNBOUNDED
        self._size = max(self.limit, 2 * RESERVE)
        maps = self._map(path)
        maps[1][:LOG_HEADER_SIZE] = LOG_MAGIC + bytes(8)
        return maps

    def _map(self, path: str) -> "list[Any]":
        lengths = self._size - RESERVE, self._size
        return _map_file(path, self._size, *lengths) if path else [mmap.mmap(-1, each) for each in lengths]

    def _use(self, maps: "list[Any]", at: int) -> None:
        """Two maps of one file: of the room for events, and of all of it."""
        self._events, self._rest = maps
        self._count = memoryview(self._rest).cast("Q")
        self._full = False  # events had all their room, and what comes now is behind it
        self._events.seek(at)
        self.write = self._events.write

    def add_words(self, placed: "Callable[[], int]") -> "Words":
        """Makes the file of words (see `hot.py`); `placed` tells how many stand there. Raises OSError."""
        self.words = Words(self._path + WORDS, self._size & ~31)
        self._placed, self._told = placed, 0
        self._write_text = self.write
        self.write = self._write_behind_words
        return self.words

    def _write_behind_words(self, data: bytes) -> int:
        """Text stands behind the words that were there before it."""
        placed = self._placed()
        if placed != self._told:
            self._write_text(b'["words",%d]\n' % placed)
            self._told = placed
        self._write_text(data)
        return len(data)

    def now(self) -> int:
        """Microseconds since the log was opened."""
        return (perf_counter_ns() - self.t0) // 1000

    @property
    def position(self) -> int:
        """Bytes of records that were written so far."""
        return int((self._rest if self._full else self._events).tell()) - LOG_HEADER_SIZE

    def event(self, line: str) -> bool:
        """Appends one event (an ASCII JSON line with its newline); false once events have no room left."""
        try:
            self.write(line.encode())
        except ValueError:
            return False
        return True

    def note(self, line: str) -> None:
        """Appends a record that must not be lost: it may use the reserved room. The count in the header
        is raised, for whoever waits for such records while the program runs."""
        data = line.encode()
        try:
            if not self._full:
                try:
                    self.write(data)
                except ValueError:
                    self._end_events()
                    self._rest.write(data)
            else:
                self._rest.write(data)
            while self._count[1] != self.position:  # another thread's note may have come in between
                self._count[1] = self.position
        except ValueError:
            pass  # the reserve is used up, or the log is closed

    def _end_events(self) -> None:
        self._full = True
        self._rest.seek(self._events.tell())
        if self.words is not None:
            self._rest.write(b'["words",%d]\n' % self._placed())
        self._events.seek(0, os.SEEK_END)  # whoever has its `write` finds no room either
        self.write = _no_room

    def move(self, path: str) -> None:
        """Goes on in another file, which begins with all that was written so far; time begins anew. For
        a forked child that shares the first file with others. Raises OSError."""
        at, maps = self.position + LOG_HEADER_SIZE, self._map(path)
        maps[1][:at] = self._rest[:at]
        self._replace(maps, at)

    def begin_anew(self, path: str, limit: int) -> None:
        """Goes on in another file, which is empty, and knows no words; time begins anew. For a forked child
        that is recorded by itself. Raises OSError."""
        self._replace(self._new(path, limit), LOG_HEADER_SIZE)
        if self.words is not None:
            self.words.close()
            self.words = None

    def _replace(self, maps: "list[Any]", at: int) -> None:
        before = self._events, self._rest
        self._count.release()
        self._use(maps, at)
        for each in before:
            each.close()  # whoever has the `write` of one must come here for the new one
        self.t0 = perf_counter_ns()

    def close(self) -> None:
        """Nothing is written from here on: for the forked children of the program, which share the pages."""
        self.write = _no_room
        self._full = True
        self._count.release()
        self._events.close()
        self._rest.close()
        if self.words is not None:
            self.words.close()


class Words:
    """Beside the log: numbers in a memory-mapped file (see `wire.py`). To put one there is the quickest thing
    that a program can do to a file."""

    def __init__(self, path: str, size: int) -> None:
        (self._map,) = _map_file(path, size, size)
        everything = memoryview(self._map)
        heads, values = everything[: size // 4], everything[size // 4 :]
        self.heads, self.ints, self.reals = heads.cast("I"), values.cast("q"), values.cast("d")
        self._views = (self.heads, self.ints, self.reals, heads, values, everything)

    def close(self) -> None:
        for view in self._views:
            view.release()
        self._map.close()


def _no_room(data: bytes) -> int:
    raise ValueError


def _map_file(path: str, size: int, *lengths: int) -> "list[Any]":
    """Makes a file of the size, of zeros, and a map of each of the lengths from its beginning."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    low = []
    try:
        os.ftruncate(descriptor, size)
        if hasattr(os, "fork"):
            low = _fill_low_descriptors()
        return [mmap.mmap(descriptor, length) for length in lengths]
    finally:
        for number in low:
            os.close(number)
        os.close(descriptor)


def _fill_low_descriptors() -> "list[int]":
    """mmap keeps a duplicate of its descriptor. With the low numbers taken it gets a high one, so that
    the program's own files have the numbers that they have without us."""
    taken: "list[int]" = []
    try:
        while not taken or taken[-1] < _OUT_OF_THE_WAY:
            taken.append(os.dup(taken[0]) if taken else os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass  # a very low limit on descriptors: then the number is not out of the way
    return taken
