"""What the runs of a workspace have shown: the latest run of each entry, and what it says of a text now.

Nothing here is the editor's: texts and paths in, frozen views out. A run is bound to the texts that ran;
a `View` relates them to the text at hand, so that whoever asks knows what is old.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from attrs import define, field, frozen

from backtrail_tracer.aging import LineMap, line_map
from backtrail_tracer.store import TraceStore

if TYPE_CHECKING:
    from backtrail_tracer.divergence import Divergence
    from backtrail_tracer.entries import Entry
    from backtrail_tracer.interpreter import Interpreter
    from backtrail_tracer.trace import Failure, Trace

NoteKind = Literal["no entry", "syntax", "consent", "cancelled", "failed", "off"]


@frozen
class Note:
    """Why the last save of a file did not lead to a run, and what to do about it."""

    kind: NoteKind
    reason: str
    advice: str = ""
    line: int = 1

    def __str__(self) -> str:
        return f"{self.reason}. {self.advice}".rstrip(" .") + "."


@frozen(eq=False)
class Ran:
    """A run and what is needed to show it."""

    trace: Trace
    entry: Entry
    interpreter: Interpreter
    number: int = 0  # a later run has a greater one

    @property
    def failed(self) -> bool:
        return bool(self.trace.failures) or self.trace.status != "completed"

    def text(self, path: Path) -> str | None:
        """The source of a file as it ran, as an editor would hold it; None when it is not known."""
        for traced, text in self.trace.sources.items():
            if same_file(traced, path):
                return text.removeprefix("\ufeff")
        return None


@frozen(eq=False)
class View:
    """What one run says of one text at hand. `path` is the file as the trace names it."""

    ran: Ran
    path: Path
    ran_text: str
    now_text: str

    @property
    def lines(self) -> LineMap:
        return line_map(self.ran_text, self.now_text)

    @property
    def old(self) -> bool:
        """Whether the text is another than the one that ran."""
        return self.ran_text != self.now_text


@frozen(eq=False)
class Shown:
    """A failure that is still the latest word on its test. `index` counts within its trace.

    `divergence` is where the run first differs from the last good one, once that is known.
    """

    ran: Ran
    index: int
    failure: Failure
    divergence: Divergence | None = None


@define
class Results:
    """The latest run of each entry of one workspace, and the latest note of each file."""

    notes: dict[Path, Note] = field(factory=dict)
    _store: TraceStore = field(factory=TraceStore)
    _runs: dict[str, Ran] = field(factory=dict)  # by entry
    _divergences: dict[str, Mapping[int, Divergence]] = field(factory=dict)  # by run, then failure
    _count: int = 0

    def put(self, trace: Trace, entry: Entry, interpreter: Interpreter) -> Ran:
        self._count += 1
        ran = Ran(trace, entry, interpreter, self._count)
        self._store.put(trace)
        self._runs[entry.id] = ran
        self._runs = {key: one for key, one in self._runs.items() if self._store.by_entry(key) is one.trace}
        return ran

    def last_good(self, entry: str) -> Trace | None:
        return self._store.last_good(entry)

    def put_divergences(self, ran: Ran, found: Mapping[int, Divergence]) -> bool:
        """Where the failures of a run first differ from the last good run; whether that is still news."""
        if self._runs.get(ran.entry.id) is not ran or not found:
            return False
        kept = {one.trace.run for one in self._runs.values()}
        self._divergences = {run: each for run, each in self._divergences.items() if run in kept}
        self._divergences[ran.trace.run] = found
        return True

    def of_entry(self, entry: str) -> Ran | None:
        return self._runs.get(entry)

    def latest(self) -> list[Ran]:
        """The kept runs, newest first."""
        return sorted(self._runs.values(), key=lambda ran: -ran.number)

    def view(self, path: Path, now_text: str) -> View | None:
        """The newest run in which code of a file ran, related to the text at hand."""
        for traced in self._names(path):
            trace = self._store.latest(traced)
            ran = self._runs.get(trace.entry) if trace else None
            text = ran.text(traced) if ran else None
            if ran is not None and text is not None:
                return View(ran, traced, text, now_text)
        return None

    def _names(self, path: Path) -> Iterator[Path]:
        """The name of a file, and the names that runs know it by, where these differ."""
        yield path
        for ran in self.latest():
            yield from (traced for traced in ran.trace.files if traced != path and same_file(traced, path))

    def of_file(self, path: Path) -> Ran | None:
        """The newest run that a save of this file leads to, else the newest that executed it."""
        runs = self.latest()
        covering = (ran for ran in runs if any(same_file(p, path) for p in ran.entry.paths))
        executed = (ran for ran in runs if any(same_file(p, path) for p in ran.trace.files))
        return next(covering, None) or next(executed, None)

    def failed_last(self, root: Path) -> frozenset[str]:
        return self._store.failed_last(root)

    def failures(self) -> Iterator[Shown]:
        """All failures that no newer run of the same test has answered."""
        answered: set[tuple[Path | None, str]] = set()
        for ran in self.latest():
            items = {item.id: (item.path, item.name) for item in ran.trace.items}
            differs = self._divergences.get(ran.trace.run, {})
            for index, failure in enumerate(ran.trace.failures):
                if failure.item is None or items.get(failure.item) not in answered:
                    yield Shown(ran, index, failure, differs.get(index))
            answered.update(items.values())


@functools.lru_cache(maxsize=4096)
def _real(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths name one file, through links too."""
    return one == other or _real(one) == _real(other)
