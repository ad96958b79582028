"""One model, one lane: a thread that advances the most urgent request by one step at a time.

Since a generation stops after every forward pass, urgency is looked at before each: a person's request
overtakes a running prefetch within one step, and the prefetch goes on afterwards from where it was.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Literal

import torch
from attrs import define, evolve, field, frozen

from backtrail_model.host.generate import Lane, Step, Task
from backtrail_model.host.prompts import Prompts
from backtrail_model.host.text import Detokeniser, StopFilter


class Priority(IntEnum):
    """Smaller is more urgent."""

    PERSON = 0
    PREFETCH = 1


@frozen
class Piece:
    """New text of one sample; `finish` once it has ended: "stop", "length" or "cancelled"."""

    sample: int
    text: str
    finish: Literal["stop", "length", "cancelled"] | None = None


@frozen
class Done:
    """The end of a request: tokens read and written, and the message of a failure."""

    prompt_tokens: int
    output_tokens: int
    reused_tokens: int = 0
    error: str | None = None


Sink = Callable[[Piece | Done], None]
"""Takes what a request gives, in the lane's thread; must not block."""


class Busy(Exception):
    """The queue is full; `seconds` is a guess at when there is room again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many requests are waiting; try again in {seconds} s")
        self.seconds = seconds


@define(eq=False)
class Job:
    """A request on its way through the lane."""

    task: Task
    stops: tuple[str, ...]
    priority: Priority
    sink: Sink
    cancelled: threading.Event = field(factory=threading.Event)
    order: int = 0
    steps: Iterator[Step] | None = None
    reused: int = 0
    samples: list[Sample] = field(factory=list)


class Sample:
    """The text side of one sample: characters, stop strings, and how it ended."""

    def __init__(self, prompts: Prompts, stops: tuple[str, ...]) -> None:
        self._characters = Detokeniser(prompts.decode)
        self._filter = StopFilter(stops)
        self.count = 0
        self.finish: Literal["stop", "length"] | None = None

    def push(self, ids: list[int], ended: bool, limit: int) -> str:
        """Take new tokens; the text that can be shown now."""
        text = ""
        for token in ids:
            self.count += 1
            text += self._filter.push(self._characters.push(token))
            if self._filter.stopped:
                self.finish = "stop"
                return text
        if ended or self.count >= limit:
            text += self._filter.push(self._characters.flush()) + self._filter.flush()
            self.finish = "stop" if ended or self._filter.stopped else "length"
        return text


class Engine:
    """The lane's thread and its queue. `submit` from any thread; `close` ends everything."""

    def __init__(self, lane: Lane, prompts: Prompts, *, waiting: int = 64) -> None:
        self.lane, self.prompts = lane, prompts
        self.finished, self.cancelled = 0, 0
        self._limit = waiting
        self._jobs: list[Job] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._seconds = 2.0  # a running mean of how long a request takes
        self._thread = threading.Thread(target=self._run, name="lane", daemon=True)
        self._thread.start()

    def submit(self, task: Task, stops: tuple[str, ...], priority: Priority, sink: Sink) -> Job:
        """Queue a request. Raises Busy when the queue is full."""
        job = Job(task, stops, priority, sink, order=next(self._order))
        with self._changed:
            if self._closed or len(self._jobs) >= self._limit:
                raise Busy(max(1, round(self._seconds * len(self._jobs))))
            self._jobs.append(job)
            self._changed.notify()
        return job

    @property
    def queued(self) -> int:
        """Requests in the lane: the running one and those that wait."""
        return len(self._jobs)

    def cancel_all(self) -> None:
        """Cancel everything and take nothing more; each request ends before its next step."""
        with self._changed:
            self._closed = True
            for job in self._jobs:
                job.cancelled.set()
            self._changed.notify()

    def close(self) -> None:
        """Cancel everything and wait for the thread, which ends after the step that it is in."""
        self.cancel_all()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            started = time.monotonic()
            over = self._advance(job)
            if over is not None:
                with self._changed:
                    self._jobs.remove(job)
                job.sink(over)
                self._seconds = 0.8 * self._seconds + 0.2 * (time.monotonic() - started)

    def _next(self) -> Job | None:
        """The most urgent job, of equals the oldest; waits for one. None once closed and empty."""
        with self._changed:
            while not self._jobs:
                if self._closed:
                    return None
                self._changed.wait()
            return min(self._jobs, key=lambda job: (job.priority, job.order))

    def _advance(self, job: Job) -> Done | None:
        """One step of a job; Done if that was its last."""
        if job.cancelled.is_set():
            return self._drop(job)
        try:
            with torch.inference_mode():
                step = self._step(job)
        except Exception as error:  # the lane must outlive any one request
            return self._fail(job, error)
        if step is None:
            self.finished += 1
            return self._done(job)
        for tokens in step:
            sample = job.samples[tokens.sample]
            text = sample.push(tokens.ids, tokens.ended, job.task.max_tokens)
            if text or sample.finish:
                job.sink(Piece(tokens.sample, text, sample.finish))
        return None

    def _step(self, job: Job) -> Step | None:
        if job.steps is not None:
            return next(job.steps, None)
        job.samples = [Sample(self.prompts, job.stops) for _ in range(job.task.samples)]
        job.steps = self.lane.generate(job.task, lambda sample: job.samples[sample].finish is None)
        before = self.lane.counters.reused_tokens
        step = next(job.steps, None)
        # The cache of an earlier prompt is looked for in the first step, and no other job runs in it.
        job.reused = self.lane.counters.reused_tokens - before
        return step

    def _drop(self, job: Job) -> Done:
        job.steps = None  # frees its cache
        self.cancelled += 1
        for number, sample in enumerate(job.samples):
            if sample.finish is None:
                job.sink(Piece(number, "", "cancelled"))
        return self._done(job)

    def _fail(self, job: Job, error: Exception) -> Done:
        job.steps = None
        self.lane.prefixes.clear()
        if isinstance(error, torch.OutOfMemoryError):
            message = "the device ran out of memory; send a shorter prompt or fewer samples"
        else:
            message = f"{type(error).__name__}: {error}"
        return evolve(self._done(job), error=message)

    def _done(self, job: Job) -> Done:
        output = sum(sample.count for sample in job.samples)
        return Done(len(job.task.ids), output, job.reused)
