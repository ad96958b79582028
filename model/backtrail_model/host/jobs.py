"""A request on its way through the lane: what was asked for, what came of it so far, and how it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Literal

from attrs import define, field, frozen

from backtrail_model.host.generate import Task, Tokens
from backtrail_model.host.prompts import Prompts
from backtrail_model.host.text import Detokeniser, StopFilter

Finish = Literal["stop", "length"]


class Priority(IntEnum):
    """Smaller is more urgent."""

    PERSON = 0
    PREFETCH = 1


@frozen
class Scored:
    """A token as text, the logarithm of its probability, and the likeliest texts at its place with theirs.

    `offset` is where it begins in the text of the sample, in characters.
    """

    text: str
    offset: int
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@frozen
class Piece:
    """New text of one sample, with the scores of its tokens if asked for; `finish` once it has ended."""

    sample: int
    text: str
    finish: Finish | None = None
    scores: tuple[Scored, ...] = ()


@frozen
class Done:
    """The end of a request: tokens read and written, and how it failed if it did."""

    prompt_tokens: int
    output_tokens: int
    reused_tokens: int = 0
    error: str | None = None
    late: bool = False
    """Whether the error is that its deadline has passed."""


Sink = Callable[[Piece | Done], None]
"""Takes what a request gives, in the lane's thread; must not block."""


@define(eq=False)
class Job:
    """One request. `client` is who asked, for fairness; `deadline` is on the clock of time.monotonic."""

    task: Task
    priority: Priority
    sink: Sink
    samples: Sequence[Sample]
    client: str = ""
    deadline: float | None = None
    order: int = 0
    cancelled: threading.Event = field(factory=threading.Event)
    submitted: float = field(factory=time.monotonic)
    first: float | None = None
    """When its first token came."""
    reused: int = 0
    ended: bool = False

    def wants(self, sample: int) -> bool:
        """Whether the next token of a sample is still of use to anybody."""
        return self.samples[sample].finish is None and not self.cancelled.is_set()

    @property
    def over(self) -> bool:
        """Whether every sample has ended."""
        return all(sample.finish is not None for sample in self.samples)

    def late(self, now: float) -> bool:
        return self.deadline is not None and now >= self.deadline

    def take(self, tokens: Tokens) -> None:
        """Pass on new tokens of one sample."""
        if self.first is None and tokens.ids:
            self.first = time.monotonic()
        sample = self.samples[tokens.sample]
        text, scores = sample.push(tokens, self.task.max_tokens)
        if text or scores or sample.finish:
            self.sink(Piece(tokens.sample, text, sample.finish, scores))

    @property
    def output(self) -> int:
        """Tokens written so far, of all samples."""
        return sum(sample.count for sample in self.samples)

    def end(self, error: str | None = None, late: bool = False) -> None:
        """Tell that it is over: finished, failed, or (with nobody there to hear it) cancelled."""
        self.ended = True
        self.sink(Done(len(self.task.ids), self.output, self.reused, error, late))


class Sample:
    """The text side of one sample: characters, stop strings, scores, and how it ended."""

    def __init__(self, prompts: Prompts, stops: tuple[str, ...]) -> None:
        self._prompts = prompts
        self._characters = Detokeniser(prompts.decode)
        self._filter = StopFilter(stops)
        self._read = 0  # characters that the tokens so far gave
        self._shown = 0  # of which the stop filter let through
        self._waiting: list[Scored] = []  # of tokens not shown yet
        self.count = 0
        self.finish: Finish | None = None

    def push(self, tokens: Tokens, limit: int) -> tuple[str, tuple[Scored, ...]]:
        """Take new tokens; the text that can be shown now, and the scores of the tokens it begins with."""
        text = ""
        for place, token in enumerate(tokens.ids):
            self.count += 1
            if tokens.scores:
                self._waiting.append(self._scored(token, tokens, place))
            text += self._filter.push(self._characters_of(token))
            if self._filter.stopped:
                self.finish = "stop"
                return text, self._release(len(text))
        if tokens.ended or self.count >= limit:
            text += self._filter.push(self._characters.flush()) + self._filter.flush()
            self.finish = "stop" if tokens.ended or self._filter.stopped else "length"
        return text, self._release(len(text))

    def _characters_of(self, token: int) -> str:
        text = self._characters.push(token)
        self._read += len(text)
        return text

    def _scored(self, token: int, tokens: Tokens, place: int) -> Scored:
        score = tokens.scores[place]
        top = tuple((self._prompts.token(other), logprob) for other, logprob in score.top)
        return Scored(self._prompts.token(token), self._read, score.logprob, top)

    def _release(self, shown: int) -> tuple[Scored, ...]:
        """The scores of the tokens that begin within the text shown so far; others stay or are never told."""
        self._shown += shown
        whole = self.finish is not None and not self._filter.stopped
        ready = [scored for scored in self._waiting if whole or scored.offset < self._shown]
        del self._waiting[: len(ready)]
        return tuple(ready)
