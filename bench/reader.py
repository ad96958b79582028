"""How long it takes to read a log of 100,000 events, and to ask the trace.

python -m bench.reader [EVENTS]
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from backtrail_model.study.machine import describe
from backtrail_tracer.aging import line_map
from backtrail_tracer.questions import last_values, values_at
from backtrail_tracer.reader import Ending, read
from backtrail_tracer.trace import Trace

PATH = Path("/ws/work.py")
ROUNDS = 5


def log_of(events: int) -> bytes:
    """A program that calls a function of nine lines again and again, as the recorder would write it."""
    lines = [
        ["begin", {"version": 1, "python": "3.13", "recorder": "monitoring", "reason": "", "started": 1.0}],
        ["file", 1, str(PATH), "0" * 64],
        ["code", 1, 1, "work", 1],
    ]
    frame = 0
    while len(lines) < events:
        frame += 1
        lines.append(
            ["call", frame, None, 1, 1, frame, {"xs": ["list", "[1, 2, 3]", {"id": 7, "len": 3}]}, False]
        )
        for line in range(2, 11):
            changed = {"total": ["int", str(frame * line)]} if line % 2 else {}
            lines.append(["line", frame, line, 1, frame * 20 + line, changed, False])
        lines.append(["return", frame, 10, frame * 20 + 19, ["int", "3"], {}, False])
    lines.append(["end", {"status": "completed", "exit_code": 0, "seconds": 1.0, "message": ""}])
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def milliseconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def hover(trace: Trace) -> Callable[[], object]:
    return lambda: values_at(trace, PATH, 5, "total")


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    log = log_of(events)
    trace = read(log, "bench", Ending())
    text = "\n".join(f"line {n}" for n in range(2000))
    print(f"{describe()}; {events:,} events, {len(log) / 1e6:.1f} MB, median of {ROUNDS}\n")
    print("| what | ms |\n|---|---|")
    print(f"| log → trace | {milliseconds(lambda: read(log, 'bench', Ending())):.0f} |")
    started = time.perf_counter()
    hover(trace)()
    print(f"| first question (makes the index) | {(time.perf_counter() - started) * 1000:.1f} |")
    hits = len(trace.lines(PATH)[5])
    print(f"| values of a name at a line with {hits:,} hits | {milliseconds(hover(trace)):.1f} |")
    print(f"| last values of the file | {milliseconds(lambda: last_values(trace, PATH)):.1f} |")
    edited = f"# an edit\n{text}"
    # Without its memory: that is what the first hover after an edit pays.
    print(f"| lines of an edited file | {milliseconds(lambda: line_map.__wrapped__(text, edited)):.2f} |")


if __name__ == "__main__":
    main()
