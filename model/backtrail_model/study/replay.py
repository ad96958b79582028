"""The failing call of an item, run again under the tracer: it must end as it did without.

A project of two files is made in a temporary folder, and everything is run there, bounded and in a
sandbox where there is one. Only the visible tests are in it.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from attrs import frozen

from backtrail_model.evidence import endless
from backtrail_model.study.tasks import Task
from backtrail_model.study.visible import test_file
from backtrail_probe.wire import ProcessLimits
from backtrail_tracer.entries import Entry, NoEntry, discover
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.session import Session
from backtrail_tracer.trace import Failure, Trace

MODULE = "solution"
WALL_S = 30.0
CPU_S = 8.0
"""An endless program burns it up on any machine; a busy machine alone does not."""
PLAIN = {"PYTHONHASHSEED": "0", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Sets of strings come in the same order each time, and pytest is the same on every machine."""
_ADDRESS = re.compile(r"0x[0-9a-f]+")


@frozen
class Replay:
    """A traced failure that is the one a plain run has."""

    task: Task
    path: Path  # of the program
    session: Session
    entry: Entry
    trace: Trace
    failure: Failure
    seconds: float  # of the traced run

    def source_of(self, path: Path) -> str:
        return path.read_text(encoding="utf-8")


@frozen
class Unusable:
    """Why an item cannot be studied."""

    reason: str


def interpreter(python: Path | None = None) -> Interpreter:
    """The Python that runs the items; it needs pytest."""
    return Interpreter(python or Path(sys.executable), "asked for" if python else "the study's own")


@contextmanager
def project(files: dict[str, str], python: Interpreter) -> Iterator[tuple[Session, Path]]:
    """A temporary folder with these files, and a session that runs what is in it."""
    with tempfile.TemporaryDirectory(prefix="backtrail-study-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
        yield Session(python, folder, environ={**os.environ, **PLAIN}), folder


@asynccontextmanager
async def replayed(task: Task, python: Interpreter) -> AsyncIterator[Replay | Unusable]:
    """The task's failure, as long as its folder is there."""
    if not task.tests:
        yield Unusable("it has no visible test")
        return
    files = {f"{MODULE}.py": task.source, f"test_{MODULE}.py": test_file(MODULE, task.tests)}
    with project(files, python) as (session, folder):
        yield await _replay(task, session, folder / f"{MODULE}.py")


async def _replay(task: Task, session: Session, path: Path) -> Replay | Unusable:
    entries = discover(path, session.root)
    if isinstance(entries, NoEntry):
        return Unusable(entries.reason)
    limits = ProcessLimits(wall_s=WALL_S, cpu_s=CPU_S)
    plain = (await session.run(entries[0], process_limits=limits, record=False)).trace
    traced = (await session.run(entries[0], process_limits=limits)).trace
    if plain.status == "usage" or (plain.status == "completed" and not plain.items):
        return Unusable(f"its tests do not run: {plain.message or plain.stderr.strip()[-200:]}")
    if plain.status == "completed":
        return Unusable("its visible tests pass, so there is nothing to repair")
    if outcome(plain) != outcome(traced):
        return Unusable("under the tracer it does not fail as it does without")
    failure = next(iter(traced.failures), None) or endless(traced)
    if failure is None:
        return Unusable(f"no failure was recorded: {traced.status} {traced.message}".rstrip())
    return Replay(task, path, session, entries[0], traced, failure, traced.seconds)


def outcome(trace: Trace) -> tuple[object, ...]:
    """What must be the same in both runs: how it ended, each test's outcome, each failure's words."""
    items = tuple((item.name, item.outcome) for item in trace.items)
    failures = tuple((one.type, _ADDRESS.sub("0x", one.message)) for one in trace.failures)
    return (trace.status, items, failures)
