"""One model, one lane: a thread that advances the most urgent requests by one step at a time.

Since a generation stops after every pass of decoding and every layer of prefill, urgency is looked at
before each: a person's request overtakes a running prefetch within one step, and the prefetch goes on
afterwards from where it was. Requests that wait at the same time are decoded together where the measured
cost of passes says that this pays; one that comes later waits for the batch to end (there is no joining
of a running batch). Among equals the client that was served least so far goes first.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from attrs import define, field

from backtrail_model.host.generate import Lane, Step, Task
from backtrail_model.host.heap import give_back
from backtrail_model.host.jobs import Job, Priority, Sample, Sink
from backtrail_model.host.metrics import Record
from backtrail_model.host.prompts import Prompts

MOST_ROWS = 16
"""Samples that are decoded together at most: beyond it a pass costs as much more as it brings."""
REMEMBERED_CLIENTS = 256
LATE = "the deadline of the request has passed"


class Busy(Exception):
    """The queue is full; `seconds` is a guess at when there is room again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many requests are waiting; try again in {seconds} s")
        self.seconds = seconds


@define(eq=False)
class Batch:
    """Jobs that are decoded together, usually one; a token tells its job by the place in `jobs`."""

    jobs: Sequence[Job]
    mode: str
    steps: Iterator[Step]
    begun: int = 0
    """Jobs whose prompt is being read or was."""
    started: float = field(factory=time.monotonic)

    @property
    def live(self) -> list[Job]:
        """The jobs that have not ended."""
        return [job for job in self.jobs if not job.ended]

    @property
    def urgency(self) -> tuple[int, int]:
        """The most urgent and oldest of its jobs; smaller goes first."""
        return min((job.priority, job.order) for job in self.live)


class Engine:
    """The lane's thread and its queue. `submit` from any thread; `close` ends everything."""

    def __init__(self, lane: Lane, prompts: Prompts, *, waiting: int = 64) -> None:
        self.lane, self.prompts, self.record = lane, prompts, Record()
        self._limit = waiting
        self._waiting: list[Job] = []
        self._running: list[Batch] = []
        self._order = itertools.count()
        self._served: defaultdict[str, float] = defaultdict(float)  # seconds of the lane, by client
        self._changed = threading.Condition()
        self._closed = False
        self._seconds = 2.0  # a running mean of how long a batch takes
        self._thread = threading.Thread(target=self._run, name="lane", daemon=True)
        self._thread.start()

    def submit(
        self,
        task: Task,
        stops: tuple[str, ...],
        priority: Priority,
        sink: Sink,
        *,
        client: str = "",
        deadline: float | None = None,
    ) -> Job:
        """Queue a request; `deadline` is on the clock of time.monotonic. Raises Busy when it is full."""
        samples = [Sample(self.prompts, stops) for _ in range(task.samples)]
        job = Job(task, priority, sink, samples, client, deadline, next(self._order))
        with self._changed:
            if self._closed or self.queued >= self._limit:
                self.record.refused += 1
                raise Busy(max(1, round(self._seconds * self.queued)))
            self._waiting.append(job)
            self._changed.notify()
        return job

    @property
    def queued(self) -> int:
        """Requests in the lane: the running ones and those that wait."""
        return len(self._waiting) + sum(len(batch.live) for batch in tuple(self._running))

    def cancel_all(self) -> None:
        """Cancel everything and take nothing more; each request ends before its next step."""
        with self._changed:
            self._closed = True
            for job in itertools.chain(self._waiting, *(batch.jobs for batch in self._running)):
                job.cancelled.set()
            self._changed.notify()

    def close(self) -> None:
        """Cancel everything and wait for the thread, which ends after the step that it is in."""
        self.cancel_all()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            started = time.monotonic()
            self._advance(batch)
            for client in {job.client for job in batch.jobs}:
                self._served[client] += time.monotonic() - started
            if not self.queued:
                give_back()

    def _next(self) -> Batch | None:
        """The batch to advance, begun if it has to be; waits for one. None once closed and empty."""
        with self._changed:
            while True:
                self._tidy()
                running = min(self._running, key=lambda batch: batch.urgency, default=None)
                if running and all(job.priority >= running.urgency[0] for job in self._waiting):
                    return running
                if self._waiting:
                    return self._begin()
                if self._closed:
                    return None
                self._changed.wait()

    def _tidy(self) -> None:
        """End the jobs that nobody waits for any more, and let go of the batches that have none left."""
        now = time.monotonic()
        for job in itertools.chain(self._waiting, *(batch.live for batch in self._running)):
            if job.cancelled.is_set() or job.late(now):
                self._end(job, LATE if job.late(now) and not job.cancelled.is_set() else None)
        self._waiting = [job for job in self._waiting if not job.ended]
        for batch in [batch for batch in self._running if not batch.live]:
            self._running.remove(batch)  # frees its cache
            self._seconds = 0.8 * self._seconds + 0.2 * (time.monotonic() - batch.started)

    def _begin(self) -> Batch:
        """A batch of the job whose turn it is, and those that are worth taking with it."""
        if len(self._served) > REMEMBERED_CLIENTS:
            self._served.clear()
        first = min(self._waiting, key=self._turn)
        jobs = self._companions(first)
        tasks = [job.task for job in jobs]
        self._waiting = [job for job in self._waiting if job not in jobs]
        if len(jobs) > 1:
            mode, steps = "together", self.lane.generate_together(tasks, [job.wants for job in jobs])
        else:
            mode, steps = self.lane.choose(first.task), self.lane.generate(first.task, first.wants)
        self.record.began(mode, len(jobs))
        self._running.append(Batch(jobs, mode, steps))
        return self._running[-1]

    def _turn(self, job: Job) -> tuple[int, float, int]:
        return job.priority, self._served[job.client], job.order

    def _companions(self, first: Job) -> list[Job]:
        """The waiting jobs to decode with `first`, itself included; only itself if that is not worth it."""
        jobs, rows = [first], first.task.samples
        alike = [job for job in self._waiting if job is not first and job.priority == first.priority]
        for job in sorted(alike, key=self._turn):
            if rows + job.task.samples <= MOST_ROWS:
                jobs.append(job)
                rows += job.task.samples
        return jobs if self.lane.worth_together([job.task for job in jobs]) else [first]

    def _advance(self, batch: Batch) -> None:
        """One step of a batch; ends the jobs whose last it was."""
        counters = self.lane.counters
        read, reused = counters.prompt_tokens, counters.reused_tokens
        try:
            with torch.inference_mode():
                step = next(batch.steps, None)
        except Exception as error:  # the lane must outlive any one request
            self._fail(batch, error)
            return
        if counters.prompt_tokens != read:
            # Prompts are read one after another, and at most one of them begins within a step.
            batch.jobs[batch.begun].reused = counters.reused_tokens - reused
            batch.begun += 1
        for tokens in step or ():
            if not (job := batch.jobs[tokens.task]).ended:
                job.take(tokens)
        for job in batch.live:
            if step is None or job.over:
                self._end(job)

    def _fail(self, batch: Batch, error: Exception) -> None:
        self.lane.prefixes.clear()
        if isinstance(error, torch.OutOfMemoryError):
            message = "the device ran out of memory; send a shorter prompt or fewer samples"
            torch.cuda.empty_cache()
        else:
            message = f"{type(error).__name__}: {error}"
        for job in batch.live:
            self._end(job, message)

    def _end(self, job: Job, error: str | None = None) -> None:
        self.record.ended(job, error)
        job.end(error, late=error == LATE)
