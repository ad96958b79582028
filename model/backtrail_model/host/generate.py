"""Prefill and decode: from a prompt's tokens to the tokens of each sample, one step at a time.

A generation is a Python generator that yields after every forward pass. So whoever drives it can look
at what came, stop it before the next pass, or run another one in between; nothing runs by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import torch
from attrs import define, frozen

from backtrail_model.host.cache import KeyValues
from backtrail_model.host.prefixes import Prefixes
from backtrail_model.host.sampling import Sampling, draft, pick

PREFILL_CHUNK = 512
LOOKUP_NGRAM = 4
LOOKUP_TOKENS = 4


GREEDY = Sampling()


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
    """Whether several samples are decoded together; None leaves it to `together`."""


@frozen
class Tokens:
    """New tokens of one sample; `ended` when it met one of the task's stop tokens, which is left out."""

    sample: int
    ids: list[int]
    ended: bool = False


@define
class Counters:
    """What was done, for /metrics and the tests; one per model."""

    passes: int = 0
    prompt_tokens: int = 0
    reused_tokens: int = 0
    output_tokens: int = 0
    drafted: int = 0
    accepted: int = 0


Step = list[Tokens]
Wanted = Callable[[int], bool]
"""Whether a sample is still wanted: false once its stop string came."""


@frozen
class Lane:
    """A model that generates: its forward pass, what it remembers, what it counted."""

    model: Any
    prefixes: Prefixes
    counters: Counters

    def forward(self, ids: torch.Tensor, cache: KeyValues) -> torch.Tensor:
        """One pass over ids [rows, tokens]; hidden states [rows, tokens, size]."""
        self.counters.passes += 1
        ids = ids.to(self.model.device)
        return self.model.model(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states [..., size] → logits [..., vocabulary] in float32."""
        return self.model.lm_head(hidden).float()

    def generate(self, task: Task, wanted: Wanted) -> Iterator[Step]:
        """The tokens of all samples, step by step; an empty step while the prompt is read."""
        cache = yield from self._read(task.ids)
        hidden = self.forward(torch.tensor([task.ids[-1:]]), cache)[:, -1]
        self.prefixes.keep(task.ids, cache)
        first = self.logits(hidden)[0]
        if task.samples > 1 and (together(task) if task.batched is None else task.batched):
            yield from self._decode_together(task, cache, first, wanted)
            return
        for sample in range(task.samples):
            cache.truncate(len(task.ids))
            yield from self._decode(task, sample, cache, first, wanted)

    def _read(self, ids: list[int]) -> Generator[Step, None, KeyValues]:
        """Prefill all but the last token, from the longest remembered prefix on; returns the cache."""
        cache = self.prefixes.longest(ids) or KeyValues.empty(self.model.config.num_hidden_layers)
        self.counters.reused_tokens += cache.length
        self.counters.prompt_tokens += len(ids)
        while cache.length < len(ids) - 1:
            chunk = ids[cache.length : min(cache.length + PREFILL_CHUNK, len(ids) - 1)]
            self.forward(torch.tensor([chunk]), cache)
            yield []
        return cache

    def _decode(
        self, task: Task, sample: int, cache: KeyValues, logits: torch.Tensor, wanted: Wanted
    ) -> Iterator[Step]:
        """One sample, several tokens a pass where a draft from the text so far holds."""
        generator = task.sampling.generator(sample)
        text = list(task.ids)
        new = [pick(logits, task.sampling, generator)]
        while True:
            step = cut(sample, new, len(text) - len(task.ids), task)
            text += step.ids
            self.counters.output_tokens += len(step.ids)
            yield [step]
            if step.ended or len(text) - len(task.ids) >= task.max_tokens or not wanted(sample):
                return
            room = task.max_tokens - (len(text) - len(task.ids)) - 1
            guess = draft(text, LOOKUP_NGRAM, min(LOOKUP_TOKENS, room)) if task.lookup and room > 0 else []
            rows = self.logits(self.forward(torch.tensor([[text[-1], *guess]]), cache)[0])
            new = accepted(rows, guess, task.sampling, generator)
            cache.truncate(len(text) + len(new) - 1)
            self.counters.drafted += len(guess)
            self.counters.accepted += len(new) - 1

    def _decode_together(
        self, task: Task, cache: KeyValues, logits: torch.Tensor, wanted: Wanted
    ) -> Iterator[Step]:
        """All samples in one batch that shares the prompt's cache; a row leaves when its sample ends."""
        generators = [task.sampling.generator(sample) for sample in range(task.samples)]
        alive = list(range(task.samples))
        rows, cache = logits.expand(task.samples, -1), cache.rows(torch.zeros(task.samples, dtype=torch.long))
        for count in range(task.max_tokens):
            picked = [pick(row, task.sampling, generators[s]) for s, row in zip(alive, rows, strict=True)]
            step = [cut(s, [token], count, task) for s, token in zip(alive, picked, strict=True)]
            self.counters.output_tokens += sum(len(tokens.ids) for tokens in step)
            yield step
            kept = [row for row, tokens in enumerate(step) if not tokens.ended and wanted(tokens.sample)]
            if not kept or count + 1 == task.max_tokens:
                return
            if len(kept) < len(alive):
                cache = cache.rows(torch.tensor(kept))
                alive, picked = [alive[row] for row in kept], [picked[row] for row in kept]
            rows = self.logits(self.forward(torch.tensor(picked)[:, None], cache)[:, -1])


def together(task: Task) -> bool:
    """Whether decoding the samples in one batch beats one after another with drafts.

    A pass over 8 rows costs 2 to 3 passes over 1 (bench/model_host.py). Drafts gain a factor of 2.5 on an
    answer that copies its prompt, and nothing on a hole in code; so a batch wins or is even from 3 on.
    """
    return task.samples >= 3


def accepted(
    rows: torch.Tensor, guess: list[int], sampling: Sampling, generator: torch.Generator
) -> list[int]:
    """The tokens that one pass over a draft gives: those of the draft that hold, and one more.

    Each position's token is picked as it would be without a draft, with one draw of the generator; the
    draft only tells whether the next position was computed for the right text. So the output and the use
    of random numbers are the same with drafts and without.
    """
    new: list[int] = []
    for row, guessed in zip(rows, [*guess, None], strict=True):
        new.append(pick(row, sampling, generator))
        if new[-1] != guessed:
            break
    return new


def cut(sample: int, new: list[int], count: int, task: Task) -> Tokens:
    """New tokens up to a stop token and to the limit; `count` is how many the sample has already."""
    for place, token in enumerate(new):
        if token in task.stop_ids:
            return Tokens(sample, new[:place], ended=True)
    return Tokens(sample, new[: task.max_tokens - count])
