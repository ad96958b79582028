"""Kept runs of a workspace, and what a failing one differs from: work for threads, after a run.

The archive and SQLite are imported when the first run has ended, not when the server starts.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field

if TYPE_CHECKING:
    from backtrail_tracer.archive import Archive
    from backtrail_tracer.divergence import Divergence
    from backtrail_tracer.trace import Trace

_log = logging.getLogger(__name__)


def traces_folder() -> Path:
    """Where traces are kept: BACKTRAIL_CACHE, or the user's cache folder, and in it "traces"."""
    base = os.environ.get("BACKTRAIL_CACHE")
    if not base:
        import platformdirs

        base = str(platformdirs.user_cache_path("backtrail"))
    return Path(base) / "traces"


def archive_of(root: Path) -> Archive:
    """The archive of a workspace, under a name that two servers on the same workspace agree on."""
    from backtrail_tracer.archive import Archive

    name = hashlib.sha256(os.fsencode(os.path.normcase(os.path.realpath(root)))).hexdigest()[:24]
    return Archive(traces_folder() / f"{name}.sqlite3")


@define(eq=False)
class Kept:
    """The kept runs of one workspace. The methods wait for a disk and belong into a thread."""

    root: Path
    _said: set[str] = field(factory=set)
    _turn: threading.Lock = field(factory=threading.Lock)

    def divergences(self, trace: Trace, good: Trace | None) -> Mapping[int, Divergence]:
        """For the failures of a run, by their index: where it first differs from the last good run,
        which is `good` or else the kept one."""
        if not trace.failures:
            return {}
        from backtrail_tracer.divergence import first_divergence

        good = good or self.last_good(trace.entry)
        if good is None:
            return {}
        found = ((i, first_divergence(good, trace, f.item)) for i, f in enumerate(trace.failures))
        return {index: divergence for index, divergence in found if divergence is not None}

    def last_good(self, entry: str) -> Trace | None:
        return self._archive().last_good(entry)

    def keep(self, trace: Trace) -> None:
        with self._turn:
            self._archive().keep(trace)

    def _archive(self) -> Archive:
        archive = archive_of(self.root)
        archive.on_problem = self._problem
        return archive

    def _problem(self, reason: str) -> None:
        """Said once in the log: the person has lost nothing that a run does not bring back."""
        if reason not in self._said:
            self._said.add(reason)
            _log.warning(reason)
