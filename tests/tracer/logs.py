"""Logs made by hand, for what needs no program: the reader and the questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backtrail_probe.wire import LOG_HEADER_SIZE, LOG_MAGIC
from backtrail_tracer.reader import Ending, read
from backtrail_tracer.trace import Trace

PATH = Path("/ws/stats.py")

BEGIN = [
    "begin",
    {
        "version": 1,
        "python": "3.13.0",
        "pid": 7,
        "recorder": "monitoring",
        "reason": "3.12 or newer",
        "started": 5.0,
    },
]
FILE = ["file", 1, str(PATH), "0" * 64]
END = ["end", {"status": "completed", "exit_code": 0, "seconds": 0.5, "message": ""}]


def code(number: int = 1, name: str = "mean", first_line: int = 1) -> list[Any]:
    return ["code", number, 1, name, first_line]


def call(frame: int = 1, code: int = 1, parent: int | None = None, **arguments: Any) -> list[Any]:
    return ["call", frame, parent, code, 1, 10, {k: value(v) for k, v in arguments.items()}, False]


def line(number: int, hit: int | None = 1, frame: int = 1, gap: bool = False, **changed: Any) -> list[Any]:
    return ["line", frame, number, hit, 20, {k: value(v) for k, v in changed.items()}, gap]


def leave(result: Any = None, frame: int = 1, gap: bool = False, **changed: Any) -> list[Any]:
    return ["return", frame, 9, 30, value(result), {k: value(v) for k, v in changed.items()}, gap]


def value(thing: Any) -> list[Any]:
    """A recorded value; a list of two or three items that starts with a type name is taken as it is."""
    if isinstance(thing, list) and thing and isinstance(thing[0], str) and thing[0].startswith("="):
        return [thing[0][1:], *thing[1:]]
    return [type(thing).__name__, repr(thing)]


def lines_of(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def trace(*records: Any, ending: Ending | None = None, begin: bool = True) -> Trace:
    head = [BEGIN, FILE] if begin else []
    return read(lines_of(*head, *records), "pytest:test_stats.py", ending or Ending())


def write_log(path: Path, content: bytes, count: int | None = None, padding: int = 100) -> Path:
    """A log file as the probe leaves it: header, committed lines, and unused room behind them."""
    number = len(content) if count is None else count
    header = LOG_MAGIC + number.to_bytes(LOG_HEADER_SIZE - len(LOG_MAGIC), "little")
    path.write_bytes(header + content + b"\0" * padding)
    return path
