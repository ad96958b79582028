"""A warm worker: a process that has imported what the tests need and forks once for each request.

The protocol is at the end of `wire.py`: requests go to its stdin, answers come on a pipe of their own,
so that what a candidate prints cannot be taken for an answer.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from attrs import define, field, frozen

from backtrail_tracer.bubblewrap import Command
from backtrail_tracer.program import Program

_READY_S = 20.0
_GRACE_S = 1.0
_POLL_S = 0.05

Request = dict[str, Any]
Waiting = asyncio.Future[Request]


class WorkerError(Exception):
    """The worker cannot be used (any more): it did not start, cannot fork, or has died."""


class Unstaged(Exception):
    """The stage is not there (any more); the request was not run."""


@frozen
class Answer:
    """`status` is "done", "timeout" or "died"; `exit` is the child's exit status, negative for a signal."""

    status: str
    exit: int | None
    seconds: float
    cpu_s: float = 0.0


@define(eq=False)
class Worker:
    """A running worker. `close` must be called."""

    memory_bytes: int
    _program: Program
    _reader: asyncio.StreamReader
    _answers: asyncio.BaseTransport
    _numbers: itertools.count[int] = field(factory=lambda: itertools.count(1))
    _waiting: dict[int, Waiting] = field(factory=dict)
    _staged: dict[int, int | None] = field(factory=dict)  # request -> the stage it was given to
    _stages: set[int] = field(factory=set)
    _listening: asyncio.Task[None] | None = None
    _watching: asyncio.Task[None] | None = None

    @staticmethod
    async def start(command: Command, cwd: Path, environ: Mapping[str, str], memory_bytes: int) -> Worker:
        """Starts it and waits until its imports are done. Raises WorkerError when it cannot fork."""
        loop = asyncio.get_running_loop()
        receive, send = os.pipe()
        try:
            program = await Program.start(
                command.argv,
                layers=command.layers,
                cwd=cwd,
                environ={**environ, "BACKTRAIL_ANSWERS": str(send)},
                mark=uuid.uuid4().hex,
                output_bytes=64 * 1024,
                stdin=subprocess.PIPE,
                pass_fds=(send,),
            )
        except OSError as error:
            os.close(receive)
            raise WorkerError(f"the worker cannot be started: {error}") from error
        except BaseException:
            os.close(receive)
            raise
        finally:
            os.close(send)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(receive, "rb", 0))
        worker = Worker(memory_bytes, program, reader, transport)
        try:
            await worker._wait_until_ready()
        except BaseException:
            await worker.close()
            raise
        return worker

    async def _wait_until_ready(self) -> None:
        try:
            async with asyncio.timeout(_READY_S):
                answer = _parsed(await self._reader.readline())
        except TimeoutError as error:
            raise WorkerError(f"the worker was not ready within {_READY_S:g} s") from error
        if not answer.get("ready"):
            raise WorkerError(f"the worker did not start: {self._program.stderr.strip()[-500:]}")
        if not answer.get("fork"):
            raise WorkerError("this system has no fork")
        self._listening = asyncio.ensure_future(self._listen())
        self._watching = asyncio.ensure_future(self._watch())

    @property
    def is_alive(self) -> bool:
        return self._listening is not None and not self._listening.done() and not self._program.has_exited

    async def _listen(self) -> None:
        while line := await self._reader.readline():
            self._hear(_parsed(line))
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(WorkerError("the worker has died"))

    def _hear(self, answer: Request) -> None:
        """An answer to one request, or the news that a stage has gone, which answers all that it had."""
        if answer.get("status") == "gone":
            self._stages.discard(answer["stage"])
            numbers = [each for each, stage in self._staged.items() if stage == answer["stage"]]
            numbers, answer = [*numbers, answer["stage"]], {"status": "unstaged"}
        else:
            numbers = [answer.get("id", 0)]
        for number in numbers:
            waiting = self._waiting.get(number)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)

    async def _watch(self) -> None:
        """Kills children that use too much memory; the worker then answers that they died."""
        while True:
            await asyncio.sleep(_POLL_S)
            if self._waiting and self.memory_bytes:
                for process in self._program.tree.children():
                    _kill_above(process, self.memory_bytes)

    async def prepare(
        self, *, target: Sequence[str], paths: Sequence[str], stop_first: bool, log: Path, within_s: float
    ) -> int:
        """Runs the entry up to where one of the files is first read, for `run(stage=…)` to fork from.

        Raises Unstaged when there is no such point or it takes longer than `within_s`, and WorkerError.
        """
        number = next(self._numbers)
        request = {
            "id": number,
            "prepare": True,
            "target": list(target),
            "overlay": dict.fromkeys(paths, ""),
            "stop_first": stop_first,
            "log": str(log),
        }
        with self._expecting(number) as waiting:
            try:
                self._send(request)
                async with asyncio.timeout(within_s):
                    answer = await asyncio.shield(waiting)
            except (TimeoutError, asyncio.CancelledError) as error:
                self.leave(number)
                if isinstance(error, TimeoutError):
                    raise Unstaged(f"not ready within {within_s:g} s") from error
                raise
        if answer.get("status") != "staged":
            self.leave(number)
            raise Unstaged(str(answer.get("reason") or "it ended on the way"))
        self._stages.add(number)
        return number

    def leave(self, stage: int) -> None:
        """Ends a stage and what was forked from it."""
        self._stages.discard(stage)
        if self.is_alive:
            self._send({"id": stage, "leave": True})

    async def run(
        self,
        *,
        target: Sequence[str],
        overlay: Mapping[str, str],
        wall_s: float,
        stop_first: bool,
        log: Path,
        cpu_s: float | None = None,
        stage: int | None = None,
    ) -> Answer:
        """Runs one request in a fork, of a stage if one is named (then what it was prepared for counts).

        Raises WorkerError, and Unstaged; cancelling kills the fork.
        """
        if stage is not None and stage not in self._stages:
            raise Unstaged("the stage has gone")
        number = next(self._numbers)
        request: Request = {"id": number, "overlay": dict(overlay), "log": str(log)}
        request |= {"wall_s": wall_s, "cpu_s": cpu_s}
        if stage is None:
            request |= {"target": list(target), "stop_first": stop_first}
        else:
            request["stage"] = stage
        with self._expecting(number, stage) as waiting:
            answer = await self._answered(number, request, waiting, wall_s)
        if answer.status == "unstaged":
            raise Unstaged("the stage has gone")
        return answer

    @contextmanager
    def _expecting(self, number: int, stage: int | None = None) -> Iterator[Waiting]:
        waiting: Waiting = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        self._staged[number] = stage
        try:
            yield waiting
        finally:
            del self._waiting[number], self._staged[number]

    async def _answered(self, number: int, request: Request, waiting: Waiting, wall_s: float) -> Answer:
        try:
            self._send(request)
            async with asyncio.timeout(wall_s + _GRACE_S):
                answer = await asyncio.shield(waiting)
        except TimeoutError:
            # The worker should have ended it by itself; it is not to be trusted with another one.
            self._program.kill()
            return Answer("timeout", None, wall_s)
        except asyncio.CancelledError:
            self._send({"id": number, "cancel": True})
            with suppress(TimeoutError, WorkerError):
                async with asyncio.timeout(_GRACE_S):
                    await asyncio.shield(waiting)
            if not waiting.done():
                self._program.kill()
            raise
        seconds, cpu_s = (float(answer.get(name) or 0.0) for name in ("seconds", "cpu_s"))
        return Answer(str(answer.get("status")), answer.get("exit"), seconds, cpu_s)

    def _send(self, request: Mapping[str, Any]) -> None:
        if not self.is_alive:
            raise WorkerError("the worker has died")
        self._program.write(json.dumps(request).encode() + b"\n")

    async def close(self) -> None:
        """Ends the worker and every fork of it."""
        for task in (self._listening, self._watching):
            if task is not None:
                task.cancel()
        try:
            await self._program.end()
        finally:
            self._answers.close()


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _kill_above(process: psutil.Process, memory_bytes: int) -> None:
    try:
        if process.memory_info().rss > memory_bytes:
            process.kill()
    except psutil.Error:
        pass  # it ended just now
