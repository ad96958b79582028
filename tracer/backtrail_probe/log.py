"""The trace log: JSON lines in a memory-mapped file.

The kernel owns the pages, so whatever was written outlives SIGKILL, `os._exit` and a segmentation
fault. The header's count is raised only after a record is whole (see `wire.py`).

Everything that is used here is bound at import: a program that replaces builtins, mocks `os` or
closes all descriptors must not break its own log.
"""

from __future__ import annotations

import mmap
import os
from _thread import allocate_lock
from collections import deque
from time import perf_counter_ns

from .constants import LOG_HEADER_SIZE, LOG_MAGIC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Deque

UNBOUNDED = 1 << 30
"""What "no limit" comes to: a sparse file of 1 GiB, of which only written pages take room."""

RESERVE = 256 * 1024
"""Bytes at the end that only failures, item ends and the like may use, so that the end of a run is
told even when its events filled the log."""

_OUT_OF_THE_WAY = 64


class Log:
    """Appends records; never raises into the program. `t0` is the origin of all times, in ns."""

    def __init__(self, path: str, limit: int = 0) -> None:
        """Raises OSError when the file cannot be made or mapped."""
        size = max(limit or UNBOUNDED, 2 * RESERVE)
        self._map = _map_file(path, size)
        self._map[:LOG_HEADER_SIZE] = LOG_MAGIC + bytes(8)
        self._count = memoryview(self._map).cast("Q")
        self._at = LOG_HEADER_SIZE
        self._soft = size - RESERVE
        self._size = size
        self._lock = allocate_lock()
        self._waiting: Deque[bytes] = deque()
        self.limit = limit or UNBOUNDED
        self.closed = False
        self.t0 = perf_counter_ns()

    def now(self) -> int:
        """Microseconds since the log was opened."""
        return (perf_counter_ns() - self.t0) // 1000

    def event(self, line: str) -> bool:
        """Appends one event (an ASCII JSON line with its newline); false once events have no room left."""
        data = line.encode()
        at = self._at
        end = at + len(data)
        if end > self._soft:
            return False
        if self._waiting or self.closed or not self._lock.acquire(False):
            self._append(data)
            return True
        # What `_drain` does, in line: this is the one place where nanoseconds count.
        try:
            if at == self._at:
                self._map[at:end] = data
                self._at = end
                self._count[1] = end - LOG_HEADER_SIZE
            else:
                self._waiting.append(data)
                self._drain()
        finally:
            self._lock.release()
        return True

    def note(self, line: str) -> None:
        """Appends a record that must not be lost: it may use the reserved room."""
        self._append(line.encode())

    def _append(self, data: bytes) -> None:
        """A signal handler or another thread may come in here: who finds the lock taken leaves the
        record to the one who holds it, and nobody ever waits."""
        if self.closed:
            return
        self._waiting.append(data)
        while self._waiting and self._lock.acquire(False):
            try:
                self._drain()
            finally:
                self._lock.release()

    def _drain(self) -> None:
        waiting = self._waiting
        while waiting:
            try:
                data = waiting.popleft()
            except IndexError:
                return
            end = self._at + len(data)
            if end > self._size:
                continue
            self._map[self._at : end] = data
            self._at = end
            self._count[1] = end - LOG_HEADER_SIZE

    def close(self) -> None:
        """Nothing is written from here on: for the forked children of the program."""
        self.closed = True


def _map_file(path: str, size: int) -> Any:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    low = []
    try:
        os.ftruncate(descriptor, size)
        if hasattr(os, "fork"):
            low = _fill_low_descriptors()
        return mmap.mmap(descriptor, size)
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
