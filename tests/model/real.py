"""Traces and verdicts of real runs, for the tests of what is made from them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from backtrail_model.repair import RepairContext, prepare
from backtrail_probe.wire import ProcessLimits
from backtrail_tracer.entries import Entry, NoEntry, discover
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.session import Session
from backtrail_tracer.trace import Trace
from tests.tracer import trees


@frozen
class Project:
    folder: Path
    session: Session
    entry: Entry
    trace: Trace

    def source_of(self, path: Path) -> str:
        return path.read_text(encoding="utf-8")

    def context(self) -> RepairContext:
        return prepare(self.trace, self.trace.failures[0], self.source_of)


async def run(
    folder: Path, files: Mapping[str, str], saved: str, wall_s: float = 60, cpu_s: float = 20
) -> Project:
    """Writes the files, and runs the entry that fits the saved one."""
    root = trees.write(folder.resolve(), files)
    session = Session(Interpreter(Path(sys.executable), "the tests' own"), root)
    entries = discover(root / saved, root)
    assert not isinstance(entries, NoEntry), entries
    done = await session.run(entries[0], process_limits=ProcessLimits(wall_s=wall_s, cpu_s=cpu_s))
    return Project(root, session, entries[0], done.trace)
