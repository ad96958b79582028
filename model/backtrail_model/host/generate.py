"""Prefill and decode: from a prompt's tokens to the tokens of each sample, one step at a time.

A generation is a Python generator that yields after every pass of decoding and after every layer of
prefill. So whoever drives it can look at what came, stop it, or run another one in between; nothing runs
by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol

import torch
from attrs import define, field, frozen

from backtrail_model.host.cache import KeyValues, side_by_side
from backtrail_model.host.drafts import LONGEST_DRAFT, Guess, Lookup, Pace
from backtrail_model.host.passing import Passing, whole
from backtrail_model.host.prefixes import Prefixes
from backtrail_model.host.sampling import Sampling, Score, pick, score

PREFILL_CHUNK = 512


GREEDY = Sampling()


class Model(Protocol):
    """What computes: `decoder.Decoder`, or `fallback.TransformersModel`."""

    ragged: bool
    """Whether the rows of a batch may begin at different places."""
    replayed: int
    """Passes that were started as one launch (`captured.Captured`)."""

    def empty_cache(self) -> KeyValues: ...

    def passing(self, ids: torch.Tensor, cache: KeyValues) -> Passing:
        """A pass over ids [rows, tokens]; yields where it can be left off, returns hidden states."""
        ...

    def logits(self, hidden: torch.Tensor) -> torch.Tensor: ...


@frozen
class Task:
    """What to generate. `stop_ids` are the tokens that end a sample; `lookup` allows drafts from the text."""

    ids: list[int]
    max_tokens: int
    samples: int = 1
    sampling: Sampling = GREEDY
    stop_ids: frozenset[int] = frozenset()
    lookup: bool = True
    batched: bool | None = None
    """Whether several samples are decoded together; None leaves it to `Lane.choose`."""
    logprobs: int | None = None
    """How many of the likeliest tokens to score at each place, besides the one taken; None scores nothing."""


@frozen
class Tokens:
    """New tokens of one sample; `ended` when it met one of the task's stop tokens, which is left out.

    `scores` are as many as `ids` if the task asks for them, else none. `task` is the place of the task
    among those that were decoded together.
    """

    sample: int
    ids: list[int]
    ended: bool = False
    scores: tuple[Score, ...] = ()
    task: int = 0


@define
class Counters:
    """What was done, for /metrics and the tests; one per model.

    `drafted_passes` checked a draft, `batched_passes` had several rows; `merged` counts the rows that
    were not computed because another sample had the same text so far; `replayed_passes` were started as
    one launch.
    """

    passes: int = 0
    prompt_tokens: int = 0
    reused_tokens: int = 0
    output_tokens: int = 0
    drafted: int = 0
    accepted: int = 0
    drafted_passes: int = 0
    batched_passes: int = 0
    merged: int = 0
    replayed_passes: int = 0


Step = list[Tokens]
Wanted = Callable[[int], bool]
"""Whether a sample is still wanted: false once its stop string came."""


@frozen(eq=False)
class Row:
    """One row of a batch: the samples whose text is the same so far, and the token that comes next."""

    task: int
    samples: tuple[int, ...]
    token: int
    parent: int
    """The row it comes from."""


@frozen
class Lane:
    """A model that generates: its forward pass, what it remembers, what it counted."""

    model: Model
    prefixes: Prefixes
    counters: Counters
    pace: Pace = field(factory=Pace)

    def generate(self, task: Task, wanted: Wanted) -> Iterator[Step]:
        """The tokens of all samples, step by step; an empty step while the prompt is read."""
        cache, first = yield from self._read(task.ids)
        if self.choose(task) == "batch":
            yield from self._decode_together([task], cache, [first], [wanted])
            return
        for sample in range(task.samples):
            cache.truncate(len(task.ids))
            yield from self._decode(task, sample, cache, first, wanted)

    def generate_together(self, tasks: Sequence[Task], wanted: Sequence[Wanted]) -> Iterator[Step]:
        """Several tasks in one batch, whatever the lengths of their prompts; `Tokens.task` tells them apart.

        Only for models that are `ragged`.
        """
        caches, firsts = [], []
        for task in tasks:
            cache, first = yield from self._read(task.ids)
            caches.append(cache)
            firsts.append(first)
        yield from self._decode_together(tasks, side_by_side(caches), firsts, wanted)

    def choose(self, task: Task) -> str:
        """How the samples are decoded: "batch", "drafts" (prompt lookup) or "plain".

        A batch of n samples costs what a pass over n rows costs, and drafts are worth at most what the
        best of them gains; the costs are those that were measured (`drafts.Pace`).
        """
        alone = "drafts" if task.lookup else "plain"
        if task.samples == 1 or task.batched is False:
            return alone
        gain = task.samples / self.pace.cost(task.samples)
        return "batch" if task.batched or gain >= (self.pace.gain() if task.lookup else 1.0) else alone

    def worth_together(self, tasks: Sequence[Task]) -> bool:
        """Whether `generate_together` is expected to need less time than one task after another.

        A task's `max_tokens` stands for how many tokens it will have.
        """
        if len(tasks) < 2 or not self.model.ragged or any(task.batched is False for task in tasks):
            return False
        rows = sum(task.samples for task in tasks)
        together = max(task.max_tokens for task in tasks) * self.pace.cost(rows)
        return together < sum(task.max_tokens * self._passes(task) for task in tasks)

    def _passes(self, task: Task) -> float:
        """What a token of every sample of a task costs when it runs alone, in passes over one row."""
        if self.choose(task) == "batch":
            return self.pace.cost(task.samples)
        return task.samples / (max(1.0, self.pace.gain()) if task.lookup else 1.0)

    def _read(self, ids: list[int]) -> Generator[Step, None, tuple[KeyValues, torch.Tensor]]:
        """Prefill from the longest remembered prefix on; the cache, and the logits of the first token."""
        cache = self.prefixes.longest(ids) or self.model.empty_cache()
        self.counters.reused_tokens += cache.length
        self.counters.prompt_tokens += len(ids)
        while cache.length < len(ids):
            chunk = ids[cache.length : cache.length + PREFILL_CHUNK]
            self.counters.passes += 1
            passing = self.model.passing(torch.tensor([chunk]), cache)
            hidden = yield from _interruptible(passing)
        self.prefixes.keep(ids, cache)
        return cache, self.model.logits(hidden[:, -1])[0]

    def _pass(self, ids: torch.Tensor, cache: KeyValues) -> torch.Tensor:
        """One pass that is not left off in between; logits [rows * tokens, vocabulary]."""
        started = time.perf_counter()
        self.counters.passes += 1
        logits = self.model.logits(whole(self.model.passing(ids, cache)).flatten(0, 1))
        if logits.is_cuda:
            torch.cuda.synchronize()
        self.counters.replayed_passes = self.model.replayed
        self.pace.took(ids.numel(), time.perf_counter() - started)
        return logits

    def _decode(
        self, task: Task, sample: int, cache: KeyValues, logits: torch.Tensor, wanted: Wanted
    ) -> Iterator[Step]:
        """One sample, several tokens a pass where a draft from the text so far holds."""
        generator = task.sampling.generator(sample)
        lookup = Lookup(task.ids)
        rows, guess, count = logits[None], Guess((), 0), 0
        while True:
            new = accepted(rows, guess.ids, task.sampling, generator)
            cache.truncate(len(task.ids) + count + len(new) - 1)
            self._settle(lookup, guess, len(new) - 1)
            step = cut(sample, new, rows, count, task)
            count += len(step.ids)
            self.counters.output_tokens += len(step.ids)
            yield [step]
            if step.ended or count >= task.max_tokens or not wanted(sample):
                return
            lookup.extend(step.ids)
            guess = self._guess(lookup, task.max_tokens - count - 1) if task.lookup else Guess((), 0)
            rows = self._pass(torch.tensor([[step.ids[-1], *guess.ids]]), cache)

    def _guess(self, lookup: Lookup, room: int) -> Guess:
        guess = lookup.guess(min(room, LONGEST_DRAFT))
        length = self.pace.length(guess.match, len(guess.ids))
        return Guess(guess.ids[:length], guess.match)

    def _settle(self, lookup: Lookup, guess: Guess, held: int) -> None:
        lookup.settle(held)
        if guess.ids:
            self.pace.settled(guess, held)
            self.counters.drafted += len(guess.ids)
            self.counters.accepted += held
            self.counters.drafted_passes += 1

    def _decode_together(
        self,
        tasks: Sequence[Task],
        cache: KeyValues,
        firsts: Sequence[torch.Tensor],
        wanted: Sequence[Wanted],
    ) -> Iterator[Step]:
        """All samples of all tasks in one batch; samples with the same text so far are one row of it."""
        generators = [[task.sampling.generator(sample) for sample in range(task.samples)] for task in tasks]
        rows = [Row(at, tuple(range(task.samples)), -1, at) for at, task in enumerate(tasks)]
        logits, count = torch.stack(list(firsts)), 0
        while True:
            step, rows = self._branch(tasks, rows, logits, generators, count)
            count += 1
            yield step
            rows = [row for row in rows if count < tasks[row.task].max_tokens]
            # What was asked for may have changed while the step was out.
            rows = [_without(row, wanted[row.task]) for row in rows]
            rows = [row for row in rows if row.samples]
            if not rows:
                return
            if [row.parent for row in rows] != list(range(cache.rows)):
                cache = cache.select([row.parent for row in rows])
            self.counters.batched_passes += len(rows) > 1
            self.counters.merged += sum(len(row.samples) - 1 for row in rows)
            logits = self._pass(torch.tensor([[row.token] for row in rows]), cache)

    def _branch(
        self,
        tasks: Sequence[Task],
        rows: Sequence[Row],
        logits: torch.Tensor,
        generators: Sequence[Sequence[torch.Generator]],
        count: int,
    ) -> tuple[Step, list[Row]]:
        """Pick the next token of each sample; the step, and the rows that go on."""
        step: Step = []
        branches: dict[tuple[int, int], list[int]] = {}
        for place, row in enumerate(rows):
            task = tasks[row.task]
            for sample in row.samples:
                token = pick(logits[place], task.sampling, generators[row.task][sample])
                tokens = cut(sample, [token], logits[place][None], count, task, place=row.task)
                self.counters.output_tokens += len(tokens.ids)
                step.append(tokens)
                if not tokens.ended:
                    branches.setdefault((place, token), []).append(sample)
        after = [
            Row(rows[place].task, tuple(samples), token, place)
            for (place, token), samples in branches.items()
        ]
        return step, after


def _without(row: Row, wanted: Wanted) -> Row:
    """The row with the samples that are still wanted."""
    return Row(row.task, tuple(sample for sample in row.samples if wanted(sample)), row.token, row.parent)


def _interruptible(
    passing: Passing,
) -> Generator[Step, None, torch.Tensor]:
    """A pass with an empty step wherever it can be left off; returns its hidden states."""
    while True:
        try:
            next(passing)
        except StopIteration as stop:
            hidden: torch.Tensor = stop.value
            return hidden
        yield []


def accepted(
    rows: torch.Tensor, guess: Sequence[int], sampling: Sampling, generator: torch.Generator
) -> list[int]:
    """The tokens that one pass over a draft gives: those of the draft that hold, and one more.

    Each position's token is picked as it would be without a draft, with one draw of the generator; the
    draft only tells whether the next position was computed for the right text. So the output and the use
    of random numbers are the same with drafts and without. (It is also rejection sampling at its best: a
    draft without probabilities can hold no more often than its token is drawn.)
    """
    new: list[int] = []
    for row, guessed in zip(rows, [*guess, None], strict=True):
        new.append(pick(row, sampling, generator))
        if new[-1] != guessed:
            break
    return new


def cut(sample: int, new: list[int], rows: torch.Tensor, count: int, task: Task, *, place: int = 0) -> Tokens:
    """New tokens up to a stop token and to the limit; `count` is how many the sample has already.

    `rows` are the logits that each of them was picked from.
    """
    end = next((at for at, token in enumerate(new) if token in task.stop_ids), None)
    ids = new[: task.max_tokens - count] if end is None else new[:end]
    top = task.logprobs
    scores = () if top is None else tuple(score(rows[at], token, top) for at, token in enumerate(ids))
    return Tokens(sample, ids, end is not None, scores, place)
