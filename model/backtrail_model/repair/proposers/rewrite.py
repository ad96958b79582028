"""The whole function anew: from what it says of itself, or as a correction of what is there.

A program that is wrong as a whole is not one edit away from a right one, and a small model that sees it
copies it. So the first kind of question does not show the old body at all.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from textwrap import dedent
from typing import Literal

from attrs import frozen

from backtrail_model import prompts
from backtrail_model.client import ModelClient, Priority
from backtrail_model.evidence import BUDGET, shorter
from backtrail_model.fitting import until_it_fits
from backtrail_model.repair.candidates import Candidate, Prompted
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.holes import preamble
from backtrail_model.repair.proposers.base import Lane, Task, cost_s, each, from_answer, unread
from backtrail_model.repair.proposers.instruct import as_text
from backtrail_model.repair.proposers.target import Target, target_of
from backtrail_model.repair.shown_test import shown

Kind = Literal["specification", "correct"]
LEAST_TOKENS, MOST_TOKENS = 200, 500
ROOMS = (BUDGET, *(room for room in shorter.ROOM if room))
"""Tokens of the test that is shown: those of the evidence's budget, fewer where the prompt is too long."""


@frozen
class Rewrite:
    """`samples` whole functions at `temperature`, by a `kind` of question."""

    client: ModelClient
    kind: Kind = "specification"
    samples: int = 1
    temperature: float = 0.0
    chance: float = 0.4
    rounds: int = 1
    priority: Priority = "person"
    name: str = "rewrite"
    lane: Lane = "model"

    def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
        return each(self.tasks(context), context, self.name)

    def tasks(self, context: RepairContext) -> Iterator[Task]:
        target = target_of(context)
        if target is None:
            return
        # Without a docstring there is only the name to go by.
        known = 1.0 if target.docstring or self.kind == "correct" else 0.4
        prompt = as_text(self._messages(context, target, shown(context.evidence.test, BUDGET)))
        for turn in range(self.rounds):
            yield Task(
                kind=f"{self.name} {self.kind} {self.samples}",
                key=(target.original.path, target.line, turn),
                chance=known * self.chance * 0.6**turn,
                cost_s=cost_s(unread(context, prompt), min(120, len(target.text) // 4), self.samples),
                run=lambda turn=turn: self._ask(context, target, turn),  # type: ignore[misc]
            )

    async def _ask(
        self, context: RepairContext, target: Target, turn: int
    ) -> AsyncGenerator[Candidate, None]:
        """With less of the test where the prompt is too long for the model; the function is never cut."""
        tests = dict.fromkeys(shown(context.evidence.test, room) for room in ROOMS)
        answers = until_it_fits(tests, lambda test: self._answers(context, target, turn, test))
        async with aclosing(answers) as found:
            async for one in found:
                yield one

    async def _answers(
        self, context: RepairContext, target: Target, turn: int, test: str
    ) -> AsyncGenerator[Candidate, None]:
        messages = self._messages(context, target, test)
        prompted = Prompted(self.name, as_text(messages), self._options(), await self.client.model())
        context.attempts.prompts.append(prompted)
        answers = self.client.chat_samples(
            messages,
            max_tokens=max(LEAST_TOKENS, min(MOST_TOKENS, len(target.text) // 2)),
            temperature=self.temperature,
            n=self.samples,
            stop=["\n```\n"],
            seed=context.seed + 104_729 * (1 + (self.kind == "correct")) + 100_003 * turn,
            priority=self.priority,
        )
        async with aclosing(answers) as done:
            async for answer in done:
                for one in self._candidates(target, answer.text, prompted):
                    yield one

    def _candidates(self, target: Target, answer: str, prompted: Prompted) -> Iterator[Candidate]:
        return from_answer(
            target.original,
            answer,
            proposer=self.name,
            note=self.kind,
            promise=self.chance,
            prompted=prompted,
        )

    def _messages(self, context: RepairContext, target: Target, test: str) -> list[Mapping[str, str]]:
        around = preamble(target.original, target.line).strip()
        code = "\n\n".join(part for part in (around, self._shown(target)) if part)
        if self.kind == "specification":
            user = prompts.fill("specification_user", code=code, test=test)
        else:
            user = prompts.fill("correct_user", code=code, test=test, outcome=context.evidence.outcome())
        return [
            {"role": "system", "content": prompts.fill("rewrite_system")},
            {"role": "user", "content": user},
        ]

    def _shown(self, target: Target) -> str:
        if self.kind == "correct":
            return dedent(target.text)
        return dedent(f"{target.head}{target.indent}...\n")

    def _options(self) -> str:
        return f"{self.samples} samples at temperature {self.temperature}"
