"""An instruction with facts: the model is asked for an edit, once exactly and several times at random."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing

from attrs import frozen

from backtrail_model import prompts
from backtrail_model.client import ModelClient, Priority
from backtrail_model.errors import HostError
from backtrail_model.repair.answers import texts
from backtrail_model.repair.candidates import Candidate, Original, Prompted, whole
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.fixes import diff
from backtrail_model.repair.proposers.base import Lane, accepted

MOST_TOKENS = 220


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
    name: str = "instruction"
    lane: Lane = "model"

    async def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
        messages = self._messages(context)
        if messages is None:
            return
        try:
            prompted = Prompted(self.name, as_text(messages), self._options(), await self.client.model())
            context.attempts.prompts.append(prompted)
            answers = self.client.chat_samples(
                messages,
                max_tokens=MOST_TOKENS,
                temperature=self.temperature,
                n=self.samples,
                seed=context.seed + 7919 * (1 + self.second_round),
                priority=self.priority,
            )
            async with aclosing(answers) as done:
                async for answer in done:
                    for one in self._candidates(context, answer.text, prompted):
                        yield one
        except HostError as error:
            context.attempts.skipped.append(f"{self.name}: {error}")

    def _messages(self, context: RepairContext) -> list[Mapping[str, str]] | None:
        code, facts = context.evidence.code, context.evidence.to_text()
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
                outcome=_outcome(tried[1]),
            )
        else:
            return None
        system = prompts.fill("instruct_system")
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def _candidates(self, context: RepairContext, answer: str, prompted: Prompted) -> Iterator[Candidate]:
        """The answer laid over the file that it fits; the most suspicious file first."""
        for original in _by_suspicion(context):
            made = [
                one
                for text in texts(original, answer)
                for one in accepted(
                    whole(
                        original,
                        text,
                        proposer=self.name,
                        note="second round" if self.second_round else "",
                        promise=self.chance,
                        prompted=prompted,
                    )
                )
            ]
            if made:
                yield from made
                return

    def _options(self) -> str:
        samples = "one answer" if self.samples == 1 else f"{self.samples} answers"
        return f"{samples} at temperature {self.temperature}"


def as_text(messages: Sequence[Mapping[str, str]]) -> str:
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)


def _by_suspicion(context: RepairContext) -> list[Original]:
    paths = dict.fromkeys(suspect.path for suspect in context.suspects)
    return [context.originals[path] for path in paths]


def _edit(context: RepairContext, tried: Candidate) -> str:
    lines = diff(context.originals[tried.path].text, tried.text, tried.path.name).splitlines()
    return "\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---"))


def _outcome(verdict: object) -> str:
    failures = getattr(verdict, "failures", ())
    if not failures:
        return str(getattr(verdict, "summary", "it failed"))
    failure = failures[0]
    if failure.expected is not None and failure.actual is not None:
        return f"expected {failure.expected}, got {failure.actual}"
    return f"{failure.type}: {failure.message}"
