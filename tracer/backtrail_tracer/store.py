"""The latest traces of a workspace, in memory: by entry and by file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import define, field

from backtrail_tracer.trace import Trace

_KEPT_ENTRIES = 64


@define
class TraceStore:
    """Of each entry the latest trace, the last that went well and the last that failed.

    Entries that have not run for longest are dropped when there are more than `kept`.
    """

    kept: int = _KEPT_ENTRIES
    _latest: dict[str, Trace] = field(factory=dict)  # by entry; the newest one is last
    _good: dict[str, Trace] = field(factory=dict)
    _failing: dict[str, Trace] = field(factory=dict)

    def put(self, trace: Trace) -> None:
        """Keeps a trace. One that was cancelled says nothing about the program and is not kept."""
        if trace.status == "cancelled":
            return
        self._latest.pop(trace.entry, None)
        self._latest[trace.entry] = trace
        (self._good if trace.status == "completed" else self._failing)[trace.entry] = trace
        while len(self._latest) > self.kept:
            oldest = next(iter(self._latest))
            for table in (self._latest, self._good, self._failing):
                table.pop(oldest, None)

    def _newest_first(self) -> Iterator[Trace]:
        return reversed(list(self._latest.values()))

    def latest(self, path: Path) -> Trace | None:
        """The newest trace in which code of this file ran, else the newest that loaded it."""
        of_file = [trace for trace in self._newest_first() if path in trace.files]
        return next((trace for trace in of_file if trace.lines(path)), of_file[0] if of_file else None)

    def by_entry(self, entry: str) -> Trace | None:
        return self._latest.get(entry)

    def last_good(self, entry: str) -> Trace | None:
        return self._good.get(entry)

    def last_failing(self, entry: str) -> Trace | None:
        return self._failing.get(entry)

    def failed_last(self, root: Path) -> frozenset[str]:
        """Ids of the entries that failed when they last ran, and their test files relative to the root.

        What `entries.discover` takes as `failed_last`.
        """
        failing = [trace for trace in self._latest.values() if trace.status != "completed"]
        files = {item.path for trace in failing for item in trace.failed_items if item.path}
        names = {path.relative_to(root).as_posix() for path in files if path.is_relative_to(root)}
        return frozenset(names | {trace.entry for trace in failing})
