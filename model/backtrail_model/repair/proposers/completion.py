"""The body of a function continued from its head, as a model does that only goes on with a text.

Asked in a chat, a small model writes the program that it has just been shown, or the first that comes to
mind. The same weights write other programs where they only continue, so these are opinions of their own:
agreement with them says more than among samples of one question (see `votes.py`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from textwrap import dedent

from attrs import frozen

from backtrail_model import prompts
from backtrail_model.client import ModelClient, Priority
from backtrail_model.evidence.tokens import estimate
from backtrail_model.repair.candidates import Candidate, Prompted
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.holes import preamble
from backtrail_model.repair.proposers.base import Lane, Task, cost_s, each, from_answer, unread
from backtrail_model.repair.proposers.target import Target, target_of

LEAST_TOKENS, MOST_TOKENS = 100, 300
STOP = ("\n\n\n", "\ndef ", "\nclass ", "\nassert", "\nprint(", "\nif __name__", "\n#", '\n"""')
"""What follows a function at the beginning of a line."""


@frozen
class Completion:
    """`samples` bodies at `temperature`, in each of `rounds` others."""

    client: ModelClient
    samples: int = 8
    temperature: float = 0.8
    chance: float = 0.45
    rounds: int = 2
    priority: Priority = "person"
    name: str = "completion"
    lane: Lane = "model"

    def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
        return each(self.tasks(context), context, self.name)

    def tasks(self, context: RepairContext) -> Iterator[Task]:
        """None for a function without a docstring: there is nothing to go by."""
        target = target_of(context)
        if target is None or not target.docstring or not target.signature:
            return
        prompt = prompt_of(context, target)
        for turn in range(self.rounds):
            yield Task(
                kind=f"{self.name} {self.samples}",
                key=(target.original.path, target.line, turn),
                chance=self.chance * 0.6**turn,
                cost_s=cost_s(unread(context, prompt), min(120, len(target.text) // 3), self.samples),
                run=lambda turn=turn: self._ask(context, target, turn),  # type: ignore[misc]
            )

    async def _ask(
        self, context: RepairContext, target: Target, turn: int
    ) -> AsyncGenerator[Candidate, None]:
        prompt = prompt_of(context, target)
        options = f"{self.samples} samples at temperature {self.temperature}"
        prompted = Prompted(self.name, prompt, options, await self.client.model())
        context.attempts.prompts.append(prompted)
        samples = self.client.samples(
            prompt,
            max_tokens=max(LEAST_TOKENS, min(MOST_TOKENS, estimate(target.text) * 3 // 2)),
            temperature=self.temperature,
            n=self.samples,
            stop=STOP,
            seed=context.seed + 1_299_709 + 100_003 * turn,
            priority=self.priority,
        )
        async with aclosing(samples) as done:
            async for sample in done:
                for one in self._candidates(target, sample.text, prompted):
                    yield one

    def _candidates(self, target: Target, body: str, prompted: Prompted) -> Iterator[Candidate]:
        code = dedent(target.signature) + body
        return from_answer(
            target.original, code, proposer=self.name, note="", promise=self.chance, prompted=prompted
        )


def prompt_of(context: RepairContext, target: Target) -> str:
    """What the function is for and the check that failed, then its signature."""
    text = prompts.fill(
        "completion",
        around=preamble(target.original, target.line),
        docstring=target.docstring,
        check=context.evidence.test.assertion,
        signature=dedent(target.signature),
    )
    return f"{text}\n"
