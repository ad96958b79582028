"""Runs candidates: the same entry with other source text laid over its files. Nothing is written.

Where the system can fork, a warm worker runs the tests up to where the candidate's file is read, once,
and forks there for each candidate: that takes a hundredth of a second or two. Where there is no such
point it forks before the runner starts; without fork each candidate gets a fresh interpreter. The
answer is the same.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from attrs import define, evolve, field, frozen

from backtrail_probe.redact import MARK
from backtrail_probe.wire import PYTEST, SCRIPT, ProcessLimits
from backtrail_tracer import bubblewrap
from backtrail_tracer.entries import Entry
from backtrail_tracer.preload import preloaded
from backtrail_tracer.reader import Ending, read
from backtrail_tracer.sandbox import scratch_folder
from backtrail_tracer.session import Session
from backtrail_tracer.trace import Failure, Item, Status, Trace
from backtrail_tracer.worker import Answer, Unstaged, Worker, WorkerError

_START_S = 2.0
_STAGE_S = 20.0
_MOST_STAGES = 6
"""Prepared stages that are kept; each is a process that waits."""

_Key = tuple[tuple[str, ...], tuple[str, ...], bool]  # tests, files laid over, stop_first


@frozen
class Verdict:
    """What came of one candidate. `asked` are the names of the tests that were asked for, if any."""

    items: tuple[Item, ...]
    status: Status
    seconds: float
    failures: tuple[Failure, ...] = ()
    message: str = ""
    asked: tuple[str, ...] = ()
    cpu_s: float = 0.0

    @property
    def passed(self) -> bool:
        """All that ran passed (or were skipped), at least one passed, and all that was asked for ran."""
        return (
            self.status == "completed"
            and self.passed_count > 0
            and all(item.outcome in ("passed", "skipped") for item in self.items)
            and not self.missing
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """What was asked for and did not run: a candidate may not pass by losing a test."""
        seen = [item.name for item in self.items]
        return tuple(name for name in self.asked if not any(_same(name, other) for other in seen))

    @property
    def passed_count(self) -> int:
        return sum(item.outcome == "passed" for item in self.items)

    @property
    def total(self) -> int:
        """Tests that ran or should have run; skipped ones are in no count."""
        return len(self.missing) + sum(item.outcome != "skipped" for item in self.items)

    @property
    def summary(self) -> str:
        tests = "test" if self.total == 1 else "tests"
        if self.passed or self.status in ("completed", "failed"):
            return f"passes {self.passed_count}/{self.total} {tests}"
        return f"{self.message or self.status} ({self.passed_count}/{self.total} {tests} passed)"


@define(eq=False)
class Verifier:
    """An async context manager that verifies candidates for one entry, `workers` of them at once."""

    session: Session
    entry: Entry
    workers: int = field(default=2, kw_only=True)
    process_limits: ProcessLimits = field(factory=ProcessLimits, kw_only=True)
    use_fork: bool = field(default=True, kw_only=True)
    reason: str = field(default="not started", init=False)  # how candidates are run, and why so
    _stack: AsyncExitStack = field(factory=AsyncExitStack, init=False)
    _scratch: Path = field(init=False)
    _slots: asyncio.Semaphore = field(init=False)
    use_stages: bool = field(default=True, kw_only=True)
    _worker: Worker | None = field(default=None, init=False)
    _starting: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _stages: OrderedDict[_Key, int | None] = field(factory=OrderedDict, init=False)
    _staging: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _observer: Verifier | None = field(default=None, init=False)
    _observing: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def __aenter__(self) -> Verifier:
        self._slots = asyncio.Semaphore(self.workers)
        self._scratch = self._stack.enter_context(scratch_folder())
        await self._warm()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._worker is not None:
                await self._worker.close()
        finally:
            await self._stack.aclose()

    async def verify(
        self,
        overlay: Mapping[Path, str],
        items: Sequence[str] = (),
        *,
        wall_s: float,
        cpu_s: float | None = None,
        stop_first: bool = False,
    ) -> Verdict:
        """Runs the entry, or only the tests named `items` (as in `Item.name`), with `overlay`.

        `wall_s` bounds this one run, `cpu_s` (in a fork only) what it computes: give a small multiple of
        what the passing tests took, which a busy machine does not change. With `stop_first` it ends at
        the first failing test. Raises nothing for what a candidate does; cancelling kills it.
        """
        async with self._slots:
            for _ in range(2):  # a worker may die under a candidate; then once more, in a new one
                worker = await self._warm()
                if worker is None:
                    break
                try:
                    return await self._forked(worker, overlay, items, wall_s, stop_first, cpu_s=cpu_s)
                except WorkerError as error:
                    self.reason = str(error)
            return await self._fresh(overlay, items, wall_s, stop_first)

    async def observe(
        self, script: str, overlay: Mapping[Path, str], *, wall_s: float, cpu_s: float | None = None
    ) -> Verdict:
        """Runs a script of ours with `overlay`, under the same limits and guard as a candidate's tests.

        The script stands in no file; its folder is that of the entry.
        """
        async with self._observing:
            if self._observer is None:
                path = self._scratch / "observe.py"
                entry = Entry("observe", SCRIPT, (str(path),), (), self.entry.cwd, "", "", ())
                made = Verifier(
                    self.session, entry, process_limits=self.process_limits, use_fork=self.use_fork
                )
                self._observer = await self._stack.enter_async_context(made)
        (path_text,) = self._observer.entry.target
        laid = {Path(path_text): script, **overlay}
        return await self._observer.verify(laid, wall_s=wall_s, cpu_s=cpu_s)

    def _targets(self, items: Sequence[str]) -> tuple[str, ...]:
        if not items or self.entry.kind != PYTEST:
            return self.entry.target
        return tuple(_node(name, self.entry) for name in items)

    async def _forked(
        self,
        worker: Worker,
        overlay: Mapping[Path, str],
        items: Sequence[str],
        wall_s: float,
        stop_first: bool,
        *,
        cpu_s: float | None,
    ) -> Verdict:
        paths = {str(path): text for path, text in overlay.items()}
        for _ in range(2):  # a stage may be gone; then once more, without one
            stage = await self._stage(worker, items, tuple(paths), stop_first)
            log = self._new_log()
            try:
                answer = await worker.run(
                    target=self._targets(items),
                    overlay=paths,
                    wall_s=wall_s,
                    cpu_s=cpu_s,
                    stop_first=stop_first,
                    log=log,
                    stage=stage,
                )
                trace = read(log, self.entry.id, _ending(answer, wall_s), overlay)
                return _verdict(trace, answer.seconds, items, answer.cpu_s)
            except Unstaged:
                self._stages[(tuple(items), tuple(paths), stop_first)] = None
            finally:
                log.unlink(missing_ok=True)
        raise WorkerError("a request without a stage was refused")

    async def _stage(
        self, worker: Worker, items: Sequence[str], paths: tuple[str, ...], stop_first: bool
    ) -> int | None:
        """The stage for such candidates; None where there can be none."""
        key = (tuple(items), paths, stop_first)
        if not self.use_stages or not paths:
            return None
        async with self._staging:
            if key not in self._stages:
                await self._make_room(worker)
                self._stages[key] = await self._prepared(worker, key)
            self._stages.move_to_end(key)
            return self._stages[key]

    async def _prepared(self, worker: Worker, key: _Key) -> int | None:
        items, paths, stop_first = key
        log = self._new_log()
        try:
            return await worker.prepare(
                target=self._targets(items),
                paths=paths,
                stop_first=stop_first,
                log=log,
                within_s=_STAGE_S,
            )
        except Unstaged as reason:
            self.reason = f"forked from a warm worker, not from a stage: {reason}"
            return None
        finally:
            log.unlink(missing_ok=True)

    async def _make_room(self, worker: Worker) -> None:
        while len(self._stages) >= _MOST_STAGES:
            _, oldest = self._stages.popitem(last=False)
            if oldest is not None:
                worker.leave(oldest)

    def _new_log(self) -> Path:
        return self._scratch / f"{uuid.uuid4().hex}.log"

    async def _fresh(
        self, overlay: Mapping[Path, str], items: Sequence[str], wall_s: float, stop_first: bool
    ) -> Verdict:
        args = ("-x", *self.entry.args) if stop_first and self.entry.kind == PYTEST else self.entry.args
        entry = evolve(self.entry, target=self._targets(items), args=args)
        # A fresh interpreter takes its time to start, which is not the candidate's.
        limits = replace(self.process_limits, wall_s=wall_s + _START_S)
        run = await self.session.run(entry, process_limits=limits, overlay=overlay, record=False)
        return _verdict(run.trace, run.trace.seconds, items)

    async def _warm(self) -> Worker | None:
        """The living worker; None where there cannot be one."""
        async with self._starting:
            if not self.use_fork or (self._worker is not None and self._worker.is_alive):
                return self._worker
            if self._worker is not None:
                await self._worker.close()
                self._worker = None
            self._stages.clear()
            session, python = self.session, self.session.interpreter
            preload = await asyncio.to_thread(
                preloaded, self.entry, session.root, python.executable or python.path, session.environ
            )
            await asyncio.to_thread(bubblewrap.level, session.sandbox)  # the first time, it is tried
            spec = self.session.spec(
                self.entry,
                self._scratch,
                record=False,
                process_limits=self.process_limits,
                preload=preload,
            )
            try:
                self._worker = await Worker.start(
                    self.session.command(spec, self._scratch, "--worker"),
                    self.entry.cwd,
                    self.session.environment(self._scratch),
                    self.process_limits.memory_bytes,
                )
                self.reason = "forked from a warm worker"
            except WorkerError as error:
                self.use_fork, self.reason = False, f"in fresh interpreters: {error}"
            return self._worker


def _same(name: str, other: str) -> bool:
    """pytest names a test from its root folder, which depends on what else is run."""
    return name == other or name.endswith(f"/{other}") or other.endswith(f"/{name}")


def _node(name: str, entry: Entry) -> str:
    """The name of a test with the whole path of its file, which needs no root folder."""
    file, colons, test = name.partition("::")
    if MARK in test:  # a secret among its parameters was hidden: then all of that test's are meant
        test = test.partition("[")[0]
    path = entry.cwd / file
    if not path.exists():
        ends = (Path(target) for target in entry.target if Path(target).as_posix().endswith(f"/{file}"))
        path = next(ends, path)
    return f"{path}{colons}{test}"


def _ending(answer: Answer, wall_s: float) -> Ending:
    if answer.status == "timeout":
        return Ending(
            "timeout", f"stopped after {min(wall_s, answer.seconds):.3g} s", answer.exit, answer.seconds
        )
    return Ending(exit_code=answer.exit, seconds=answer.seconds)


def _verdict(trace: Trace, seconds: float, items: Sequence[str], cpu_s: float = 0.0) -> Verdict:
    return Verdict(trace.items, trace.status, seconds, trace.failures, trace.message, tuple(items), cpu_s)
