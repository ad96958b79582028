"""One bounded run of an entry: start, watch, end, read.

Whatever happens, a `Trace` comes back with what was recorded, and no process is left behind, except a
program that stands still at its failure and has an owner (`Run.stopped`).
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

import backtrail_probe
from backtrail_probe.wire import ProcessLimits, RecordLimits, RunSpec
from backtrail_tracer import bubblewrap, second_pass, whereabouts
from backtrail_tracer.bubblewrap import Bubblewrap, Command
from backtrail_tracer.entries import Entry
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.limits import Breach, Watch, output_breach
from backtrail_tracer.postmortem import Adapter, StoppedProgram, debugpy_folder
from backtrail_tracer.program import Program
from backtrail_tracer.reader import Ending, read
from backtrail_tracer.sandbox import environment, excluded, scratch_folder
from backtrail_tracer.tail import Tail
from backtrail_tracer.trace import Item, Trace

LAUNCH = Path(backtrail_probe.__file__).with_name("launch.py")

_POLL_S = 0.05
_FIRST_POLL_S = 0.01


@frozen
class Run:
    """`stopped` is set when the program stands still at its failure; the caller owns it then.

    `again` is set when the run failed where not all hits were kept: it runs the entry a second time, for
    the last hits before the failure, and gives the trace to keep of the two. Like `Session.run` it raises
    nothing for what the program does, and cancelling it kills the program.
    """

    trace: Trace
    stopped: StoppedProgram | None = None
    again: Callable[[], Awaitable[Trace]] | None = None


@define
class Session:
    """Runs entries of one workspace with one interpreter. Any number of runs may go on at once."""

    interpreter: Interpreter
    root: Path
    allow: Sequence[str] = field(default=(), kw_only=True)
    guard: bool = field(default=True, kw_only=True)
    sandbox: bubblewrap.Mode = field(default="auto", kw_only=True)
    environ: Mapping[str, str] = field(factory=lambda: dict(os.environ), kw_only=True, repr=False)

    async def run(
        self,
        entry: Entry,
        *,
        record_limits: RecordLimits | None = None,
        process_limits: ProcessLimits | None = None,
        overlay: Mapping[Path, str] | None = None,
        record: bool = True,
        postmortem: bool = False,
        on_output: Callable[[str], None] | None = None,
        on_item: Callable[[Item], None] | None = None,
    ) -> Run:
        """Runs the entry to its end or its limit, and reads what was recorded.

        `overlay` lays source texts over files (absolute paths); nothing is written to them. `on_item` is
        called as soon as a test has ended. With `postmortem`, a program that fails stays stopped there.
        Raises nothing for what the program does; OSError when the scratch folder cannot be made.
        Cancelling kills the program and its children, and is raised again.
        """
        fields = {
            "record_limits": record_limits or RecordLimits(),
            "process_limits": process_limits or ProcessLimits(),
            "overlay": {str(path): text for path, text in (overlay or {}).items()},
            "record": record,
        }
        run = await self._run(entry, fields, postmortem=postmortem, on_output=on_output, on_item=on_item)
        if not second_pass.is_due(run.trace):
            return run
        return evolve(run, again=partial(self._again, entry, fields, run.trace))

    async def _again(self, entry: Entry, fields: Mapping[str, Any], first: Trace) -> Trace:
        second = await self._run(entry, {**fields, "ring": second_pass.RING})
        return await asyncio.to_thread(lambda: second_pass.settle(first, second.trace).index())

    async def _run(
        self,
        entry: Entry,
        fields: Mapping[str, Any],
        *,
        postmortem: bool = False,
        on_output: Callable[[str], None] | None = None,
        on_item: Callable[[Item], None] | None = None,
    ) -> Run:
        """One run; `fields` are those of the specification that are not the entry's."""
        async with AsyncExitStack() as stack:
            scratch = stack.enter_context(scratch_folder())
            level = await asyncio.to_thread(bubblewrap.level, self.sandbox)
            # In a sandbox without a network, 127.0.0.1 is another one; a socket file is the same.
            beside = scratch if isinstance(level, Bubblewrap) else None
            adapter = await stack.enter_async_context(Adapter(beside)) if postmortem else None
            spec = self.spec(entry, scratch, postmortem=adapter.address if adapter else None, **fields)
            overlay = {Path(path): text for path, text in spec.overlay.items()}
            running = _Running(spec, entry, adapter, on_item, overlay)
            return await running.run(self.command(spec, scratch), self.environment(scratch), on_output, stack)

    def spec(self, entry: Entry, scratch: Path, **more: object) -> RunSpec:
        """The run specification of an entry; `more` are further fields of `RunSpec`."""
        return RunSpec(
            kind=entry.kind,
            target=list(entry.target),
            args=list(entry.args),
            root=str(self.root),
            cwd=str(entry.cwd),
            scratch=str(scratch),
            log=str(scratch / "log"),
            traced=[str(self.root)],
            excluded=excluded(self.root, self.interpreter.path),
            allow=list(self.allow),
            guard=self.guard,
            **more,  # type: ignore[arg-type]
        )

    def command(self, spec: RunSpec, scratch: Path, *options: str) -> Command:
        """Writes the specification and gives the command line that runs it, in a sandbox if there is one."""
        path = scratch / "spec.json"
        path.write_text(spec.to_json(), encoding="utf-8")
        python = self.interpreter.path
        argv = [str(python), str(LAUNCH), *options, str(path)]
        if not os.access(python, os.X_OK):
            return Command(tuple(argv))  # the system says best what is wrong with it
        level = bubblewrap.level(self.sandbox)
        if isinstance(level, Bubblewrap):
            needed = [self.root, LAUNCH.parent, *_places(python, self.environ)]
            needed += [debugpy_folder()] if spec.postmortem else []
            return level.command(argv, cwd=Path(spec.cwd), scratch=scratch, needed=needed, allow=self.allow)
        # A worker sees its stdin close and ends its children too, which a signal would not let it do.
        return Command(tuple(argv)) if options else bubblewrap.dying(argv)

    def environment(self, scratch: Path) -> dict[str, str]:
        return environment(self.environ, scratch)


def _places(python: Path, environ: Mapping[str, str]) -> list[Path]:
    """Where the interpreter, the one that its virtual environment is made of, and extra modules lie."""
    real = python.resolve()
    extra = map(Path, environ.get("PYTHONPATH", "").split(os.pathsep))
    own = [python.parent, python.parent.parent, real.parent, real.parent.parent]
    return [*own, *(each for each in extra if each.is_absolute())]


@define
class _Running:
    """The state of one run."""

    spec: RunSpec
    entry: Entry
    adapter: Adapter | None
    on_item: Callable[[Item], None] | None
    overlay: Mapping[Path, str]
    started: float = field(factory=time.time)

    async def run(
        self,
        command: Command,
        environ: Mapping[str, str],
        on_output: Callable[[str], None] | None,
        stack: AsyncExitStack,
    ) -> Run:
        limits = self.spec.process_limits
        tail = Tail(Path(self.spec.log))
        mark = uuid.uuid4().hex
        try:
            program = await Program.start(
                command.argv,
                layers=command.layers,
                cwd=self.entry.cwd,
                environ=environ,
                mark=mark,
                output_bytes=limits.output_bytes,
                on_output=on_output,
                limits=limits,
            )
        except OSError as error:
            return Run(
                await self._read(Ending("usage", _cannot_start(command.argv[0], self.entry.cwd, error)))
            )
        kept = False
        try:
            watch = Watch(program.tree, limits)
            breach = await self._watch(program, watch, tail)
            if self._stands(program, tail, breach):
                trace = await self._read(
                    Ending(seconds=watch.seconds, stdout=program.stdout, stderr=program.stderr)
                )
                assert self.adapter is not None
                kept = True
                # What the run has opened is closed with the stopped program from here on.
                return Run(trace, StoppedProgram(program, self.adapter, stack.pop_all()))
            seconds = watch.seconds
            if breach is not None and not breach.hurry:
                await asyncio.to_thread(whereabouts.ask, program.tree.program, Path(self.spec.log))
        finally:
            if not kept:
                await program.end()
        self._tell(tail)
        return Run(await self._read(self._ending(program, breach, seconds)))

    def _ending(self, program: Program, breach: Breach | None, seconds: float) -> Ending:
        status, message = (breach.status, breach.message) if breach else (None, "")
        at = None
        if breach or (program.exit_code or 0) < 0:
            at = whereabouts.place(Path(self.spec.log), program.stderr, self.entry.cwd, self._traces)
        return Ending(status, message, program.exit_code, seconds, program.stdout, program.stderr, at)

    def _traces(self, path: Path) -> bool:
        inside = any(path.is_relative_to(folder) for folder in self.spec.traced)
        return inside and not any(path.is_relative_to(folder) for folder in self.spec.excluded)

    async def _watch(self, program: Program, watch: Watch, tail: Tail) -> Breach | None:
        """Until the program has exited, stands still, or has passed a limit."""
        pause = _FIRST_POLL_S
        while not await program.wait(pause):
            self._tell(tail)
            if self.adapter and tail.failed:
                self.adapter.wake()
            if self.adapter and tail.ended and tail.failed:
                return None
            breach = watch.check()
            if breach is not None:
                return breach
            pause = min(_POLL_S, pause * 2, max(0.0, watch.remaining))
        return output_breach(watch.limits) if program.overflowed else None

    def _tell(self, tail: Tail) -> None:
        for item in tail.poll():
            if self.on_item:
                self.on_item(item)

    def _stands(self, program: Program, tail: Tail, breach: Breach | None) -> bool:
        """Whether the program reported its failure and now waits for (or in) the debugger."""
        return bool(self.adapter and breach is None and tail.failed and tail.ended and not program.has_exited)

    async def _read(self, ending: Ending) -> Trace:
        return await asyncio.to_thread(self._read_now, ending)

    def _read_now(self, ending: Ending) -> Trace:
        trace = read(Path(self.spec.log), self.entry.id, ending, self.overlay).index()
        return trace if trace.started else evolve(trace, started=self.started)


def _cannot_start(python: str, cwd: Path, error: OSError) -> str:
    if not cwd.is_dir():
        return f"the folder {cwd} is not there"
    return f"{python} cannot be started: {error.strerror or error}; set `python` to the path of a python"
