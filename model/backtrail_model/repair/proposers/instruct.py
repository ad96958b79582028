"""An instruction with facts: the model is asked for an edit, once exactly and several times at random."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing

from attrs import frozen

from backtrail_model import prompts
from backtrail_model.client import ModelClient, Priority
from backtrail_model.evidence import Evidence, shorter
from backtrail_model.fitting import until_it_fits
from backtrail_model.repair.candidates import Candidate, Original, Prompted
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.fixes import diff
from backtrail_model.repair.proposers.base import Lane, Task, cost_s, each, from_answer, unread

MOST_TOKENS = 220
LENGTH = 50


@frozen
class Instruct:
    """`samples` answers at `temperature` (0: one exact answer). With `second_round` the model also sees
    the best candidate so far and what came of it; there is nothing to propose before one was run."""

    client: ModelClient
    samples: int = 1
    temperature: float = 0.0
    second_round: bool = False
    chance: float = 0.4
    priority: Priority = "person"
    rounds: int = 1
    name: str = "instruction"
    lane: Lane = "model"

    def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
        return each(self.tasks(context), context, self.name)

    def tasks(self, context: RepairContext) -> Iterator[Task]:
        """The same question again has other answers; a second round has another question each time."""
        if not context.evidence.code:
            return
        tried = context.attempts.best() if self.second_round else None
        if self.second_round and tried is None:
            return
        asked = tried[0].key if tried else ""
        prompt = as_text(self.messages(context, context.evidence) or ())
        for turn in range(self.rounds):
            yield Task(
                kind=f"{self.name} {self._options()}",
                key=(asked, turn),
                chance=self.chance / 2**turn,
                cost_s=cost_s(unread(context, prompt), LENGTH, self.samples),
                run=lambda turn=turn: self._ask(context, turn),  # type: ignore[misc]
            )

    async def _ask(self, context: RepairContext, turn: int) -> AsyncGenerator[Candidate, None]:
        """With fewer facts where the prompt is too long for the model; the code in it is never cut."""
        versions = shorter.steps(context.evidence)
        answers = until_it_fits(versions, lambda evidence: self._answers(context, evidence, turn))
        async with aclosing(answers) as found:
            async for one in found:
                yield one

    async def _answers(
        self, context: RepairContext, evidence: Evidence, turn: int
    ) -> AsyncGenerator[Candidate, None]:
        messages = self.messages(context, evidence)
        if messages is None:
            return
        prompted = Prompted(self.name, as_text(messages), self._options(), await self.client.model())
        context.attempts.prompts.append(prompted)
        answers = self.client.chat_samples(
            messages,
            max_tokens=MOST_TOKENS,
            temperature=self.temperature,
            n=self.samples,
            seed=context.seed + 7919 * (1 + self.second_round) + 100_003 * turn,
            priority=self.priority,
        )
        async with aclosing(answers) as done:
            async for answer in done:
                for one in self._candidates(context, answer.text, prompted):
                    yield one

    def messages(self, context: RepairContext, evidence: Evidence) -> list[Mapping[str, str]] | None:
        """What the model is asked; None where there is nothing to ask."""
        code, facts = evidence.code, evidence.to_text()
        if not code:
            return None
        if not self.second_round:
            user = prompts.fill("instruct_user", code=code, facts=facts)
        elif (tried := context.attempts.best()) is not None:
            user = prompts.fill(
                "second_user",
                code=code,
                facts=facts,
                edit=_edit(context, tried[0]),
                outcome=outcome(tried[1]),
            )
        else:
            return None
        system = prompts.fill("instruct_system")
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def _candidates(self, context: RepairContext, answer: str, prompted: Prompted) -> Iterator[Candidate]:
        """The answer laid over the file that it fits; the most suspicious file first."""
        for original in by_suspicion(context):
            made = list(
                from_answer(
                    original,
                    answer,
                    proposer=self.name,
                    note="second round" if self.second_round else "",
                    promise=self.chance,
                    prompted=prompted,
                )
            )
            if made:
                yield from made
                return

    def _options(self) -> str:
        samples = "one answer" if self.samples == 1 else f"{self.samples} answers"
        return f"{samples} at temperature {self.temperature}"


def as_text(messages: Sequence[Mapping[str, str]]) -> str:
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)


def by_suspicion(context: RepairContext) -> list[Original]:
    paths = dict.fromkeys(suspect.path for suspect in context.suspects)
    return [context.originals[path] for path in paths]


def _edit(context: RepairContext, tried: Candidate) -> str:
    lines = diff(context.originals[tried.path].text, tried.text, tried.path.name).splitlines()
    return "\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---"))


def outcome(verdict: object) -> str:
    failures = getattr(verdict, "failures", ())
    if not failures:
        return str(getattr(verdict, "summary", "it failed"))
    failure = failures[0]
    if failure.expected is not None and failure.actual is not None:
        return f"expected {failure.expected}, got {failure.actual}"
    return f"{failure.type}: {failure.message}"
