"""The wire between the tracer and the probe: the one module that both sides import.

Two things cross the process line. A **run specification** goes in: one JSON file whose path is
the probe's only argument. A **trace log** comes out: a memory-mapped file of JSON lines (see
`log.py`), so that whatever was written is still there after the program was killed.

Standard library only, Python 3.9 and newer: this file is imported by the user's interpreter.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Optional

from .constants import (
    ASKED,
    CHILDREN,
    DOCTEST,
    FRAME,
    INT,
    LOG_HEADER_SIZE,
    LOG_MAGIC,
    MODULE,
    MOST_CHILDREN,
    PYTEST,
    REAL,
    SCRIPT,
    TEXT,
    TIME,
    VERSION,
    WHERE,
    WORDS,
)

__all__ = [
    "ASKED",
    "CHILDREN",
    "DOCTEST",
    "EVENTS",
    "FRAME",
    "INT",
    "LOG_HEADER_SIZE",
    "LOG_MAGIC",
    "MODULE",
    "MOST_CHILDREN",
    "PYTEST",
    "REAL",
    "SCRIPT",
    "TEXT",
    "TIME",
    "VERSION",
    "WHERE",
    "WORDS",
    "PostMortem",
    "ProcessLimits",
    "RecordLimits",
    "RunSpec",
]

# What a record in the log may be. A record is a JSON array whose first item is one of these.
#
#   ["begin", {version, python, pid, recorder, reason, started, t0}]
#       `recorder`: "monitoring" | "settrace" | "off"; `reason`: why that one, in words. `t0`: where times
#       begin, in nanoseconds of a clock that all processes of the system share (`time.perf_counter_ns`).
#   ["file", file_id, path, sha256]
#       A traced file, with the hash of the source that really ran (the overlay, if there was one).
#   ["code", code_id, file_id, qualname, first_line]
#   ["item", item_id, name, path, line]          a test or doctest begins; line is 1-based, 0 if unknown
#   ["done", item_id, outcome, seconds, message] it ends; outcome: passed|failed|error|skipped|stopped
#   ["call", frame, parent, code_id, thread, t, {name: value}, late]
#       A frame was entered with these arguments. `parent` is the nearest traced caller or null.
#       `late` is true when the entry itself went unrecorded: its arguments are then what they were
#       when the frame was first seen.
#   ["line", frame, line, hit, t, {name: value}, gap]
#       The line is about to run for the hit-th time in this item; null: once more. The values are the
#       variables that changed since the frame's previous record, so they are the effect of the line *before*.
#       `gap` is true when a line whose cap was reached may have run in between. In a second pass it is the
#       number of events of the frame that went into the rings since its last record here, or false.
#   ["again", frame, line, {name: value}]        the same for a hit in a long row of them, without a gap
#       Its number is one more than that of the line's hit before; the time is that of the record before,
#       unless there is one behind the values.
#   ["step", number, line, [name]]               what a word may tell of (see below)
#   ["value", number, value]                     a value that a word may tell of
#   ["words", n]                                 the words up to the n-th belong here
#   ["return", frame, line, t, value, {name: value}, gap]
#   ["yield", frame, line, t, value, {name: value}, gap]     ["resume", frame, line, t]
#   ["raise", frame, line, t, type, message]     an exception was raised in, or came into, this frame
#   ["unwind", frame, line, t, {name: value}, gap]           the frame was left by the exception
#   ["cap", code_id, line, kept]                 the line reached its cap: later hits were not recorded
#       `line` 0: of one frame of the code, no lines were followed any more, new ones neither.
#   ["cap", code_id, line, kept, last, total]    in a second pass: and the last so many of all its hits
#   ["ring", at, since, record]                  in a second pass, written at a failure: one of the last hits
#       The record belongs at the byte `at` of the records, as the since-th event of its frame after the
#       frame's last record that was written at once; its values are all variables of the frame.
#   ["limit", what, value, t]                    recording stopped for a limit (events|bytes|depth)
#       or has a gap: "other tracer" | "forked children" | "fresh children" (see `children.py`).
#   ["failure", {item, type, message, frames, chain, expected, actual}]
#       An exception that nobody caught, or a failed test. `frames`, outermost first, holds for each
#       frame of the traceback {path, line, end_line, col, end_col, name, locals, traced}; `locals`
#       only for traced frames. `expected` and `actual` are values when an assertion compared two.
#   ["guard", {kind, detail, path, line, allowed, t}]        a side effect was tried
#   ["postmortem", {host, port}]                 the program stands still at the failure, under debugpy
#   ["end", {status, exit_code, seconds, message}]
#       `status`: completed|failed|usage|stopped. Without it, the program died on the way.
#
# Where every hit is kept, Python 3.13 and newer tell of most hits by **words**, in a file beside the log (its
# name and WORDS): numbers in the machine's own order of bytes. The first quarter of the file are the words,
# of four bytes; a nought is behind the last. The rest are their values, of eight bytes, in order. A word
# `step << 16 | changes` is an `again` record of the frame that was told last: a hit of the step's line.
# `changes` has two bits for each name of the step, the first in the lowest: 0 it is as it was, INT or REAL
# its value comes next and is an int or a float, TEXT the number of its value does. Other words are FRAME, the
# frame of those that follow comes next, and TIME, the time of the one that follows does. A record in the log
# stands behind the words that were told before it. `backtrail_tracer/words.py` makes `again` records of them.
#
# Child processes have logs of their own, of the same records, in a folder beside the program's (its name and
# CHILDREN). They begin with the item of the program that went on then, of which they tell the id only.
#
# `t` is microseconds since "begin". A value is [type, text] or [type, text, {id, len, shape, cut,
# redacted}]: the type's name, a safe rendering, and what is known beyond it. `id` tells one mutable
# object from another within the run; `cut` is true when the text was shortened.
EVENTS = (
    "begin",
    "file",
    "code",
    "item",
    "done",
    "call",
    "line",
    "again",
    "step",
    "value",
    "words",
    "return",
    "yield",
    "resume",
    "raise",
    "unwind",
    "cap",
    "ring",
    "limit",
    "failure",
    "guard",
    "postmortem",
    "end",
)


@dataclass(frozen=True)
class RecordLimits:
    """What the recorder keeps at most. All counts are per run unless said otherwise; 0 is no limit."""

    hits_per_line: int = 10  # per line and item (test); the first ones are kept
    calls_per_function: int = 20  # per function and item
    events: int = 100_000
    log_bytes: int = 32 * 1024 * 1024
    depth: int = 200  # of recorded frames on one thread
    value_chars: int = 160
    value_items: int = 8  # of one container
    value_depth: int = 3


@dataclass(frozen=True)
class ProcessLimits:
    """What the run may use. Enforced from outside by the tracer, from inside too where the system can."""

    wall_s: float = 10.0
    cpu_s: float = 20.0
    memory_bytes: int = 4 * 1024 * 1024 * 1024
    output_bytes: int = 1024 * 1024
    processes: int = 32
    file_bytes: int = 1024 * 1024 * 1024  # of one file: where pytest captures output, it goes to a file


@dataclass(frozen=True)
class PostMortem:
    """Where a debugpy adapter waits for the stopped program, and debugpy's folder for the import.

    With port 0 the host is the path of a socket file: a sandbox has no way to a port outside.
    """

    host: str
    port: int
    token: str  # the program proves itself with it: debugpy.connect(…, access_token=token); settled
    debugpy: str  # the folder that holds the `debugpy` package


@dataclass(frozen=True)
class RunSpec:
    """One run of one entry.

    `target` depends on `kind`: pytest node ids or files; one doctest file; one script; one module name.
    `traced` are folders (or files) whose code is recorded, `excluded` are folders inside them that are
    not. `overlay` maps absolute paths to the source text that runs in their place; nothing is written
    to them. `allow` lists side effects the person allowed: "network", "subprocess", "write:PATH".
    """

    kind: str
    target: List[str]
    root: str
    cwd: str
    scratch: str
    log: str
    args: List[str] = field(default_factory=list)
    traced: List[str] = field(default_factory=list)
    excluded: List[str] = field(default_factory=list)
    overlay: Dict[str, str] = field(default_factory=dict)
    record: bool = True
    ring: int = 0  # > 0: keep the last so many hits of a line as well as the first (second pass)
    recorder: str = "auto"  # auto | monitoring | settrace
    allow: List[str] = field(default_factory=list)
    guard: bool = True
    record_limits: RecordLimits = field(default_factory=RecordLimits)
    process_limits: ProcessLimits = field(default_factory=ProcessLimits)
    postmortem: Optional[PostMortem] = None
    preload: List[str] = field(default_factory=list)  # modules a warm worker imports before it forks
    child: bool = False  # set by the probe: for a child process of the run, with its share of the limits
    version: int = VERSION

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "RunSpec":
        """Raises ValueError for a specification of another version."""
        data: Dict[str, Any] = json.loads(text)
        if data.get("version") != VERSION:
            raise ValueError("run specification of version %r, need %r" % (data.get("version"), VERSION))
        data["record_limits"] = RecordLimits(**data["record_limits"])
        data["process_limits"] = ProcessLimits(**data["process_limits"])
        if data.get("postmortem"):
            data["postmortem"] = PostMortem(**data["postmortem"])
        return RunSpec(**data)


# A warm worker (`launch.py --worker SPEC`) reads one request a line from stdin and answers one a line
# on the file descriptor named by BACKTRAIL_ANSWERS. Each request is run in a fork of the worker.
#
#   request: {"id": n, "target": [...], "overlay": {path: source}, "wall_s": s, "cpu_s": s or null,
#             "stop_first": bool, "log": path}
#   answer:  {"ready": true, "fork": bool}                 once, when the imports are done
#            {"id": n, "status": "done" | "timeout" | "died", "exit": code, "seconds": s, "cpu_s": s}
#   The items' outcomes are in the log. A request with the id of a running one and {"cancel": true} kills it.
#
#   {"id": n, "prepare": true, "target", "overlay": {path: ""}, "stop_first", "log"} makes a stage: the entry
#   is run up to where one of the files is first read, and held there. Answer:
#            {"id": n, "status": "staged"} or {"id": n, "status": "unstaged", "reason": text}
#   Requests with {"stage": n} and neither target nor stop_first are forked from it; {"id": n, "leave": true}
#   ends it. When it ends by itself {"stage": n, "status": "gone"} is told, which answers all that it had.
