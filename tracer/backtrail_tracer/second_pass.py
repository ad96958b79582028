"""When a failed run is run again for the last hits before the failure, and what comes of the two.

The first pass keeps the first hits of each line, at nearly the speed of a plain run. If it fails inside a
line or function of which not all hits were kept, a second pass of the same entry keeps the first and the
last ones (`backtrail_probe/recorder/ring.py`). It stands in the place of the first if it failed in the
same way; else the first stays, with what became of the second in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import evolve

from backtrail_tracer.trace import Failure, FailureFrame, Item, Trace

RING = 10
"""How many of the last hits of a line the second pass keeps."""

_ENDED = {
    "timeout": "reached its time limit",
    "killed": "was ended at a limit",
    "died": "ended itself",
    "stopped": "was stopped at a side effect",
    "usage": "could not be started",
}


def is_due(trace: Trace) -> bool:
    """Whether a failure came through a line, or a function, whose later hits were not kept."""
    capped = {(cap.path, cap.name) for cap in trace.caps}
    lines = {(cap.path, cap.line) for cap in trace.caps}
    return any(
        (frame.path, frame.name) in capped or any((frame.path, line) in lines for line in _span(frame))
        for failure in trace.failures
        for frame in failure.frames
        if frame.traced
    )


def _span(frame: FailureFrame) -> range:
    return range(frame.line, max(frame.line, frame.end_line) + 1)


def settle(first: Trace, second: Trace) -> Trace:
    """The trace to keep of two runs of one entry, under the first one's id, telling how it was made."""
    if first.files != second.files:
        return evolve(first, again="run again for its last hits, but the files had changed meanwhile")
    ways, again = list(_ways(first)), list(_ways(second))
    if ways == again:
        return evolve(
            second,
            run=first.run, started=first.started, seconds=first.seconds, items=_timed(first, second),
            stdout=first.stdout, stderr=first.stderr, passes=2,
            again="run twice: the second time for the last hits before the failure",
        )  # fmt: skip
    ended = _ENDED.get(second.status)
    if ended and again == ways[: len(again)]:
        # It did what the first run did as far as it came, which says nothing against the failure.
        why = f" ({second.message})" if second.message else ""
        return evolve(first, again=f"run again for its last hits, but that run {ended}{why}")
    return evolve(first, again=_flaky_words(first, second), flaky=True)


def _ways(trace: Trace) -> Iterator[tuple[str, str, Path | None, int]]:
    """For each failure: the test, the exception, and the line in the user's code."""
    names = {item.id: item.name for item in trace.items}
    for failure in trace.failures:
        where = failure.where
        name = names.get(failure.item, "") if failure.item is not None else ""
        yield name, failure.type, where.path if where else None, where.line if where else 0


def _timed(first: Trace, second: Trace) -> tuple[Item, ...]:
    """The second run's items with the first one's seconds: the second is slower by what it records."""
    seconds = {(item.path, item.name): item.seconds for item in first.items}
    return tuple(
        evolve(item, seconds=seconds.get((item.path, item.name), item.seconds)) for item in second.items
    )


def _flaky_words(first: Trace, second: Trace) -> str:
    return f"flaky: {_outcome(first)} the first time, {_outcome(second)} when run again"


def _outcome(trace: Trace) -> str:
    if trace.failures:
        return f"{_failure(trace.failures[0])}" + (
            f" and {len(trace.failures) - 1} more failures" if len(trace.failures) > 1 else ""
        )
    return _ENDED.get(trace.status, "passed")


def _failure(failure: Failure) -> str:
    where = failure.where
    return f"{failure.type} in {where.path.name}:{where.line}" if where else failure.type
