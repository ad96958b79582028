"""Jobs: work that no handler waits for. Each has an owner, a key, a deadline and a cancel.

The latest wins: a newer job for the same key cancels the older one and starts when the older one has
cleaned up, so that a program killed by a newer save is gone before the newer program starts. A lane (a
workspace) has a number of places, so that saving many files does not start them all at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from attrs import define, field

T = TypeVar("T")


@define(eq=False)
class Job(Generic[T]):
    """A piece of work in flight. `result()` may be awaited and given up without stopping the work."""

    owner: str
    key: Hashable
    debounce_s: float = 0.0
    deadline_s: float | None = None
    reason: str = ""  # why it was cancelled, in words, once it was
    _task: asyncio.Task[T] | None = field(default=None, repr=False)

    def cancel(self, reason: str) -> None:
        """Cancel once: a second cancellation would interrupt the cleaning up after the first."""
        if self._task is not None and not self._task.done() and not self.reason:
            self.reason = reason
            self._task.cancel()

    @property
    def done(self) -> bool:
        return self._task is not None and self._task.done()

    async def result(self) -> T:
        """The work's result. Raises what the work raised, CancelledError when it was cancelled."""
        if self._task is None:
            raise RuntimeError("the job has not been started")
        return await asyncio.shield(self._task)

    async def ended(self) -> None:
        """Wait until the work is over, however it went."""
        if self._task is not None:
            await asyncio.wait({self._task})


class Jobs:
    """The jobs of one server. Must be used from its event loop."""

    def __init__(self, report: Callable[[Job[object], BaseException], None], places: int = 2) -> None:
        self._report = report
        self._places = places
        self._live: dict[Hashable, list[Job[object]]] = {}
        self._lanes: dict[Hashable, asyncio.Semaphore] = {}

    def start(
        self,
        key: Hashable,
        work: Callable[[Job[T]], Awaitable[T]],
        *,
        owner: str,
        debounce_s: float = 0.0,
        deadline_s: float | None = None,
    ) -> Job[T]:
        """Replace whatever runs under `key` by `work`, which gets the job it is.

        The deadline counts from the moment the work begins; a job past it is cancelled and its result
        raises TimeoutError.
        """
        job: Job[T] = Job(owner, key, debounce_s, deadline_s)
        earlier = self._live.setdefault(key, [])
        for old in earlier:
            old.cancel("replaced by a newer one")
        job._task = asyncio.ensure_future(self._run(job, work, list(earlier)))
        earlier.append(job)  # type: ignore[arg-type]
        job._task.add_done_callback(lambda task: self._over(job, task))  # type: ignore[arg-type]
        return job

    async def _run(
        self, job: Job[T], work: Callable[[Job[T]], Awaitable[T]], earlier: list[Job[object]]
    ) -> T:
        for old in earlier:
            await old.ended()
        await asyncio.sleep(job.debounce_s)
        async with asyncio.timeout(job.deadline_s):
            return await work(job)

    def place(self, lane: Hashable) -> asyncio.Semaphore:
        """One of the places of a lane, as a context manager to wait in and work in."""
        return self._lanes.setdefault(lane, asyncio.Semaphore(self._places))

    def _over(self, job: Job[object], task: asyncio.Task[object]) -> None:
        rest = [other for other in self._live.get(job.key, ()) if other is not job]
        if rest:
            self._live[job.key] = rest
        else:
            self._live.pop(job.key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._report(job, error)

    def running(self, key: Hashable) -> Job[object] | None:
        """The newest job under a key that is not over, or None."""
        live = self._live.get(key)
        return live[-1] if live else None

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._live.values())

    async def close(self) -> None:
        """Cancel everything and wait until all has cleaned up."""
        jobs = [job for live in self._live.values() for job in live]
        for job in jobs:
            job.cancel("the server is shutting down")
        for job in jobs:
            await job.ended()
