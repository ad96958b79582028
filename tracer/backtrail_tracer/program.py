"""One started process with its output: started in a group of its own, read, watched, and ended.

The output is taken by callbacks of the event loop, so that nobody waits for an end of file: a
grandchild may keep the pipes open for as long as it likes.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field

from backtrail_tracer.bubblewrap import exit_code
from backtrail_tracer.starting import started
from backtrail_tracer.tree import Tree
from backtrail_tracer.warden import warden

if TYPE_CHECKING:
    from backtrail_probe.wire import ProcessLimits

_log = logging.getLogger(__name__)

_GRACE_S = 0.2
"""How long output that is already in the pipes may take to arrive after the process has ended."""


@define(eq=False)
class _Pipes(asyncio.SubprocessProtocol):
    """Collects stdout (1) and stderr (2) up to a number of bytes in all; what is beyond is counted."""

    limit: int
    on_output: Callable[[str], None] | None
    exited: asyncio.Event = field(factory=asyncio.Event)
    overflowed: asyncio.Event = field(factory=asyncio.Event)
    closed: asyncio.Event = field(factory=asyncio.Event)
    total: int = 0
    _kept: dict[int, bytearray] = field(factory=lambda: {1: bytearray(), 2: bytearray()})
    _open: int = 2

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        room = max(0, self.limit - self.total) if self.limit else len(data)
        self.total += len(data)
        self._kept[fd] += data[:room]
        if self.limit and self.total > self.limit:
            self.overflowed.set()
        if self.on_output and room:
            self.on_output(data[:room].decode("utf-8", "replace"))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd in self._kept:
            self._open -= 1
            if not self._open:
                self.closed.set()

    def process_exited(self) -> None:
        self.exited.set()

    def text(self, fd: int) -> str:
        return self._kept[fd].decode("utf-8", "replace")


@define(eq=False)
class Program:
    """A running process. `end` must be called in every case."""

    _transport: asyncio.SubprocessTransport
    _pipes: _Pipes
    tree: Tree
    _confinement: ExitStack

    @staticmethod
    async def start(
        command: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        mark: str,
        output_bytes: int = 0,
        on_output: Callable[[str], None] | None = None,
        stdin: int = subprocess.DEVNULL,
        pass_fds: tuple[int, ...] = (),
        layers: int = 0,
        limits: ProcessLimits | None = None,
    ) -> Program:
        """`layers` as in `bubblewrap.Command`; `limits` for the kernel that can keep them of a whole tree
        (Windows). Raises OSError when the command cannot be started."""
        loop = asyncio.get_running_loop()
        more = (
            # CREATE_NEW_PROCESS_GROUP and CREATE_SUSPENDED, which only Windows names.
            {"creationflags": 0x00000200 | 0x00000004}
            if sys.platform == "win32"
            else {"start_new_session": True, "pass_fds": pass_fds}
        )
        if not layers:  # a sandbox dies with us by itself
            warden().starting(mark)
        start = loop.subprocess_exec(
            lambda: _Pipes(output_bytes, on_output),
            *command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=str(cwd),
            env={**environ, Tree.MARK: mark},
            **more,
        )
        try:
            transport, pipes = await started(start, partial(_undo, mark))
        except OSError:
            warden().ended(mark)
            raise
        pid = transport.get_pid()
        return Program(transport, pipes, Tree.of(pid, mark, layers), _confined(pid, mark, layers, limits))

    @property
    def pid(self) -> int:
        return self._transport.get_pid()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        status = self._transport.get_returncode()
        return exit_code(status) if status is not None and self.tree.layers else status

    @property
    def has_exited(self) -> bool:
        return self._pipes.exited.is_set()

    @property
    def overflowed(self) -> bool:
        return self._pipes.overflowed.is_set()

    @property
    def stdout(self) -> str:
        return self._pipes.text(1)

    @property
    def stderr(self) -> str:
        return self._pipes.text(2)

    def write(self, data: bytes) -> None:
        """To its stdin, if that is a pipe; a process that is gone takes nothing and nothing is raised."""
        pipe = self._transport.get_pipe_transport(0)
        if isinstance(pipe, asyncio.WriteTransport) and not pipe.is_closing():
            pipe.write(data)

    async def wait(self, timeout_s: float) -> bool:
        """Waits for the process to exit or to print too much; False when the time was up first."""
        waits = [
            asyncio.ensure_future(event.wait()) for event in (self._pipes.exited, self._pipes.overflowed)
        ]
        try:
            done, _ = await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return bool(done)

    async def end(self) -> None:
        """Kills whatever is left of the tree and takes the last output; safe to call twice.

        The killing is done before the first await, so that cancelling the caller cannot prevent it.
        """
        self.kill()
        try:
            await asyncio.to_thread(self.tree.sweep)
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await self._pipes.exited.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_S):
                    await self._pipes.closed.wait()
        finally:
            self._transport.close()

    def kill(self) -> None:
        self._confinement.close()  # where there is a job, this ends all of it at once
        self.tree.kill()


def _confined(pid: int, mark: str, layers: int, limits: ProcessLimits | None) -> ExitStack:
    """Sees to it that the program ends when we do."""
    confinement = ExitStack()
    if not layers:
        warden().started(mark, pid)
        confinement.callback(warden().ended, mark)
    if sys.platform == "win32":
        _put_into_job(pid, limits, confinement)
    return confinement


def _put_into_job(pid: int, limits: ProcessLimits | None, confinement: ExitStack) -> None:
    """A program that gets no job runs all the same: it is watched from outside, as everywhere."""
    import psutil

    from backtrail_tracer.job_object import Job

    try:
        job = Job.create(limits)
        confinement.callback(job.close)
        job.take(pid)
    except OSError as error:
        _log.warning("no job object for the program: %s", error)
    with suppress(psutil.Error):
        psutil.Process(pid).resume()


def _undo(mark: str, begun: tuple[asyncio.SubprocessTransport, _Pipes]) -> None:
    transport, _ = begun
    Tree.of(transport.get_pid(), mark).kill()
    warden().ended(mark)
    transport.close()
