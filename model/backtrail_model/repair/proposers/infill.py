"""Fill-in-the-middle: one suspicious statement is taken out, and the model infills it several times."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Literal

from attrs import field, frozen

from backtrail_model.client import Completion, ModelClient, Priority
from backtrail_model.errors import HostError
from backtrail_model.repair.candidates import Candidate, Prompted, candidate
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.holes import Hole, inserting, replacing
from backtrail_model.repair.proposers.base import Lane, accepted
from backtrail_model.repair.suspects import Suspect

Kind = Literal["replace", "insert"]
ONE_LINE_TOKENS = 40
MANY_LINES_TOKENS = 96


@frozen
class Infill:
    """The next `holes` that nobody filled yet, `samples` for each at `temperature`.

    A statement for which a blind guess passed comes first: what the model would write there tells
    whether the guess makes sense or only fits the tests. The others come in order of suspicion.
    """

    client: ModelClient
    holes: int = 8
    samples: int = 6
    temperature: float = 0.8
    kind: Kind = "replace"
    chance: float = 0.5  # that a hole at the right statement is filled rightly
    priority: Priority = "person"
    name: str = field(default="infill")
    lane: Lane = "model"

    async def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
        make = replacing if self.kind == "replace" else inserting
        for _ in range(self.holes):
            suspect = self._next(context)
            if suspect is None:
                return
            hole = make(context.originals[suspect.path], suspect)
            try:
                async with aclosing(self._fill(context, hole, context.seed + suspect.start)) as found:
                    async for one in found:
                        yield one
            except HostError as error:
                context.attempts.skipped.append(f"{self.name}: {error}")
                return

    def _next(self, context: RepairContext) -> Suspect | None:
        filled = context.attempts.filled
        free = [one for one in context.suspects if (self.kind, one.path, one.start) not in filled]
        guessed = [one for one in free if any(_overlaps(one, guess) for guess in context.attempts.passed)]
        suspect = next(iter([*guessed, *free]), None)
        if suspect is not None:
            filled.add((self.kind, suspect.path, suspect.start))
        return suspect

    async def _fill(self, context: RepairContext, hole: Hole, seed: int) -> AsyncGenerator[Candidate, None]:
        prompted = self._prompted(hole, await self.client.model())
        context.attempts.prompts.append(prompted)
        samples = self.client.samples(
            hole.prefix,
            suffix=hole.suffix,
            max_tokens=ONE_LINE_TOKENS if hole.one_line else MANY_LINES_TOKENS,
            temperature=self.temperature,
            n=self.samples,
            stop=["\n"] if hole.one_line else ["\n\n"],
            seed=seed,
            priority=self.priority,
        )
        async with aclosing(samples) as done:
            async for sample in done:
                for one in self._candidates(hole, sample, prompted):
                    yield one

    def _candidates(self, hole: Hole, sample: Completion, prompted: Prompted) -> Iterator[Candidate]:
        for filling in hole.fillings(sample.text):
            text = filling if self.kind == "replace" else _as_line(hole, filling)
            made = candidate(
                hole.original,
                hole.start,
                hole.end,
                text,
                proposer=self.name,
                note=hole.note,
                promise=self.chance * hole.suspect.score,
                prompted=prompted,
            )
            yield from accepted(made)

    def _prompted(self, hole: Hole, model: str) -> Prompted:
        options = f"{self.samples} samples at temperature {self.temperature}"
        return Prompted(self.name, f"{hole.prefix}▁{hole.suffix}", options, model)


def _overlaps(suspect: Suspect, guess: Candidate) -> bool:
    return guess.path == suspect.path and guess.start < suspect.end and suspect.start < guess.end


def _as_line(hole: Hole, filling: str) -> str:
    indent = hole.original.source.indentation(hole.suspect.line)
    return f"{indent}{filling.strip()}\n"
