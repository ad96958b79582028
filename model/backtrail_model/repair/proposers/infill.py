"""Fill-in-the-middle: something suspicious is taken out, and the model infills it several times.

That is one statement, one expression in it, the whole body of a function; or a line that may be missing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Literal

from attrs import field, frozen

from backtrail_model.client import Completion, ModelClient, Priority
from backtrail_model.repair.candidates import Candidate, Prompted, candidate
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.holes import Hole, expressions, inserting, masking, replacing
from backtrail_model.repair.proposers.base import Lane, Task, accepted, cost_s, each
from backtrail_model.repair.suspects import Suspect
from backtrail_tracer.statements import FUNCTIONS

Kind = Literal["replace", "insert", "expression"]
ONE_LINE_TOKENS = 40
MANY_LINES_TOKENS = 96
ROUNDS = 2
PROMPT_TOKENS = 200
"""About what the function around a hole comes to."""
GUESSED = 3.0
"""Where a blind edit passed, what the model would write tells whether it makes sense or fits by chance."""


@frozen
class Infill:
    """Holes of one kind, `samples` for each at `temperature`; as a proposer of its own the first `holes`."""

    client: ModelClient
    holes: int = 8
    samples: int = 6
    temperature: float = 0.8
    kind: Kind = "replace"
    chance: float = 0.5  # that a hole at the right statement is filled rightly
    priority: Priority = "person"
    name: str = field(default="infill")
    lane: Lane = "model"

    def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
        tasks = sorted(self.tasks(context), key=lambda task: -task.chance)
        return each(tasks[: self.holes], context, self.name)

    def tasks(self, context: RepairContext) -> Iterator[Task]:
        """Every hole there is, again with other samples in a later round, at half the chance."""
        whole = sum(one.score for one in context.suspects) or 1.0
        for suspect in context.suspects:
            share = suspect.score / whole
            if any(_overlaps(suspect, guess) for guess in context.attempts.passed):
                share = min(1.0, share * GUESSED)
            for number, place in enumerate(self._places(context, suspect)):
                chance = self.chance * share * 0.7**number
                for turn in range(ROUNDS):
                    yield self._task(context, suspect, place, chance / 2**turn, turn)

    def _places(self, context: RepairContext, suspect: Suspect) -> list[tuple[int, int]]:
        if self.kind == "expression":
            return expressions(context.originals[suspect.path], suspect)
        if self.kind == "insert" and isinstance(suspect.statement.node, FUNCTIONS):
            return []
        return [(suspect.start, suspect.end)]

    def _task(
        self, context: RepairContext, suspect: Suspect, place: tuple[int, int], chance: float, turn: int
    ) -> Task:
        many_lines = suspect.statement.end_line > suspect.statement.line and self.kind == "replace"
        length = 8 if self.kind == "expression" else 40 if many_lines else 16
        return Task(
            kind=self.name,
            key=(suspect.path, *place, turn),
            chance=chance,
            cost_s=cost_s(0 if turn else PROMPT_TOKENS, length, self.samples),
            run=lambda: self._fill(context, self._hole(context, suspect, place), turn),
        )

    def _hole(self, context: RepairContext, suspect: Suspect, place: tuple[int, int]) -> Hole:
        original = context.originals[suspect.path]
        if self.kind == "replace":
            return replacing(original, suspect)
        return inserting(original, suspect) if self.kind == "insert" else masking(original, suspect, *place)

    async def _fill(self, context: RepairContext, hole: Hole, turn: int) -> AsyncGenerator[Candidate, None]:
        prompted = self._prompted(hole, await self.client.model())
        context.attempts.prompts.append(prompted)
        samples = self.client.samples(
            hole.prefix,
            suffix=hole.suffix,
            max_tokens=ONE_LINE_TOKENS if hole.one_line else MANY_LINES_TOKENS,
            temperature=self.temperature,
            n=self.samples,
            stop=["\n"] if hole.one_line else ["\n\n"],
            seed=context.seed + hole.start + 100_003 * turn,
            priority=self.priority,
        )
        async with aclosing(samples) as done:
            async for sample in done:
                for one in self._candidates(hole, sample, prompted):
                    yield one

    def _candidates(self, hole: Hole, sample: Completion, prompted: Prompted) -> Iterator[Candidate]:
        for filling in hole.fillings(sample.text):
            text = _as_line(hole, filling) if self.kind == "insert" else filling
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
