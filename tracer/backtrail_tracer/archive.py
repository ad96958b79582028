"""The kept traces of one workspace: a SQLite file that outlives the server and that servers may share.

Of each entry there is the last run that went well and the last that failed. The file is a cache: when
something is wrong with it there is nothing kept, which is said once, and the server goes on.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from attrs import define

from backtrail_tracer.trace import Trace
from backtrail_tracer.trace_json import Unreadable, decode, encode

VERSION = 1  # of the file; the traces in it have one of their own
MAX_BYTES = 64 * 1024 * 1024

_BUSY_S = 5.0
_JOURNAL_BYTES = 1024 * 1024
_TABLE = """
CREATE TABLE IF NOT EXISTS kept (
    entry TEXT NOT NULL, good INTEGER NOT NULL, started REAL NOT NULL, trace BLOB NOT NULL,
    PRIMARY KEY (entry, good))
"""
# One row an entry and outcome. A slower writer may come with an older run: the newer one stays.
_PUT = """
INSERT INTO kept VALUES (?, ?, ?, ?) ON CONFLICT (entry, good) DO UPDATE
SET started = excluded.started, trace = excluded.trace WHERE excluded.started >= started
"""
_NO_ROOM = "DELETE FROM kept WHERE rowid = (SELECT rowid FROM kept ORDER BY started, rowid LIMIT 1)"
_DAMAGED = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA}
)
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class _Unfit(Exception):
    """The file is not one that this version can use."""


def is_good(trace: Trace) -> bool:
    return trace.status == "completed" and not trace.failures


@define
class Archive:
    """Kept traces in the file at `path`, at most `max_bytes` of them; the oldest go first.

    Every call opens the file, has one short transaction and closes it, so that any thread may call and
    a second server waits for milliseconds. No call raises: `on_problem` gets the reason in words, and
    the answer is None. Call it outside the event loop.
    """

    path: Path
    max_bytes: int = MAX_BYTES
    on_problem: Callable[[str], None] = _log.warning

    def keep(self, trace: Trace) -> None:
        """Keeps a run in the place of the entry's last one with that outcome.

        A run that was cancelled, or that could not begin, says nothing about the program.
        """
        if trace.status in ("cancelled", "usage"):
            return
        data = encode(trace)
        if len(data) > self.max_bytes:
            self.on_problem(f"The trace of {trace.entry} is not kept: it has {len(data):,} bytes")
            return
        self._do(lambda connection: self._put(connection, trace, data))

    def last_good(self, entry: str) -> Trace | None:
        return self._read(entry, good=True)

    def last_failing(self, entry: str) -> Trace | None:
        return self._read(entry, good=False)

    def _put(self, connection: sqlite3.Connection, trace: Trace, data: bytes) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_PUT, (trace.entry, is_good(trace), trace.started, data))
        while connection.execute("SELECT total(length(trace)) FROM kept").fetchone()[0] > self.max_bytes:
            connection.execute(_NO_ROOM)
        connection.execute("COMMIT")

    def _read(self, entry: str, *, good: bool) -> Trace | None:
        which = (entry, good)
        row = self._do(lambda c: c.execute(_GET, which).fetchone())
        if row is None:
            return None
        try:
            return decode(row[0])
        except Unreadable as error:
            self.on_problem(f"A kept trace of {entry} is dropped: {error}")
            self._do(lambda c: c.execute(_DROP, (*which, row[0])))
            return None

    def _do(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Has the work done; once more on a new file when the old one had to be moved aside."""
        for _ in range(2):
            file = _identity(self.path)
            try:
                with self._open() as connection:
                    return work(connection)
            except _Unfit as unfit:
                self._move_aside(file, str(unfit))
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    self.on_problem(f"Traces are not kept for now: {self.path}: {error}")
                    return None
                self._move_aside(file, f"it is damaged ({error})")
            except OSError as error:
                self.on_problem(f"Traces are not kept for now: {error}")
                return None
        return None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))  # values are the person's own
        with closing(sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                _make(connection)
            elif version != VERSION:
                raise _Unfit(f"it was written by another version of Backtrail ({version}, this is {VERSION})")
            connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}")
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection

    def _move_aside(self, file: object, reason: str) -> None:
        """The file is kept beside the new one, unless another server has replaced it meanwhile."""
        if file is None or _identity(self.path) != file:
            return
        aside = self.path.with_name(self.path.name + ".aside")
        try:
            self.path.replace(aside)
            for end in ("-wal", "-shm"):
                self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        except OSError as error:
            self.on_problem(f"{self.path} cannot be used: {reason}; nor can it be moved: {error}. Delete it")
        else:
            self.on_problem(f"Kept traces start anew: {self.path} was moved to {aside.name}: {reason}")


_GET = "SELECT trace FROM kept WHERE entry = ? AND good = ?"
_DROP = "DELETE FROM kept WHERE entry = ? AND good = ? AND trace = ?"


def _make(connection: sqlite3.Connection) -> None:
    """Two servers may come here at once: each step may find itself done."""
    connection.execute("PRAGMA auto_vacuum = FULL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_TABLE)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _identity(path: Path) -> object:
    try:
        about = path.stat()
        return about.st_dev, about.st_ino
    except OSError:
        return None
