"""For a file that does not parse: small mends without a model, then a line, or all of it, by the model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from attrs import frozen

from backtrail_model import prompts
from backtrail_model.client import ModelClient, Priority
from backtrail_model.evidence import BUDGET
from backtrail_model.evidence.tokens import estimate
from backtrail_model.repair.answers import standing_alone
from backtrail_model.repair.candidates import Candidate, Original, Prompted, candidate, whole
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.mends import mends
from backtrail_model.repair.proposers.base import Lane, Task, accepted, cost_s
from backtrail_model.repair.proposers.instruct import as_text
from backtrail_model.repair.shown_test import shown

CHANCE = 0.6
"""About so often the first small mend that parses is what was meant."""
LONGEST = 80
"""Lines of a file; a longer one is nothing that a small model writes anew."""
AROUND_CHARS = 1500
AROUND_TOKENS, FRAMING_TOKENS = 400, 260  # about: of what stands around a line; of a prompt beside the file
LONGEST_TEST = 4 * BUDGET  # characters, in whole lines
LINE_TOKENS = 48
ROUNDS = 4
LEAST_TOKENS, MOST_TOKENS = 200, 700


@frozen
class Mends:
    """`most` bounds the candidates."""

    most: int = 60
    name: str = "mend"
    lane: Lane = "cheap"

    async def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
        if (broken := context.broken) is None:
            return
        texts = mends(broken.text, _tests(context))
        for number in range(self.most):
            mend = await asyncio.to_thread(next, texts, None)
            if mend is None:
                return
            chance = CHANCE * mend.weight / (1 + number)
            made = whole(
                broken, mend.text, proposer=self.name, note=mend.note, promise=mend.weight, chance=chance
            )
            for one in accepted(made):
                yield one


def _tests(context: RepairContext) -> list[str]:
    """The files that were run up to the one that does not parse: they tell what is wanted of it."""
    around = dict.fromkeys(frame.path for frame in context.failure.frames if frame.traced)
    known = context.broken.path if context.broken is not None else None
    return [text for path in around if path != known and (text := context.history.text(path))]


@frozen
class Restore:
    """`samples` answers: of a line around the error, and, where the file is short, of the whole file."""

    client: ModelClient
    samples: int = 6
    temperature: float = 0.7
    chance: float = 0.4
    priority: Priority = "person"
    name: str = "restore"
    lane: Lane = "model"

    def tasks(self, context: RepairContext) -> Iterator[Task]:
        if (broken := context.broken) is None or broken.source.error is None:
            return
        at = min(max(broken.source.error.lineno or 1, 1), len(broken.source.lines))
        for distance, line in enumerate(one for one in (at, at - 1) if one > 0):
            yield Task(
                kind=f"{self.name} line",
                key=(broken.path, line),
                chance=0.5 * self.chance * 0.5**distance,
                cost_s=cost_s(AROUND_TOKENS, 16, self.samples),
                run=lambda line=line: self._line(context, broken, line),  # type: ignore[misc]
            )
        if len(broken.source.lines) > LONGEST:
            return
        for turn in range(ROUNDS + 1):
            yield Task(
                kind=f"{self.name} file {1 if turn == 0 else self.samples}",
                key=(broken.path, turn),
                chance=self.chance * 0.7**turn,
                cost_s=cost_s(
                    0 if turn else estimate(broken.text) + FRAMING_TOKENS,
                    min(MOST_TOKENS, estimate(broken.text)),
                    self.samples if turn else 1,
                ),
                run=lambda turn=turn: self._file(context, broken, turn),  # type: ignore[misc]
            )

    async def _line(
        self, context: RepairContext, broken: Original, line: int
    ) -> AsyncGenerator[Candidate, None]:
        """The line is taken out, and the model infills it."""
        source = broken.source
        start = source.line_start(line) + len(source.indentation(line))
        end = max(start, source.line_start(line) + len(source.lines[line - 1].rstrip("\n")))
        before, after = (
            source.text[max(0, start - AROUND_CHARS) : start],
            source.text[end : end + AROUND_CHARS],
        )
        prompted = Prompted(
            self.name, f"{before}\u2581{after}", self._options(self.samples), await self.client.model()
        )
        context.attempts.prompts.append(prompted)
        samples = self.client.samples(
            before,
            suffix=after,
            max_tokens=LINE_TOKENS,
            temperature=self.temperature,
            n=self.samples,
            stop=["\n"],
            seed=context.seed + start,
            priority=self.priority,
        )
        async with aclosing(samples) as done:
            async for sample in done:
                made = candidate(
                    broken,
                    start,
                    end,
                    sample.text.rstrip(),
                    proposer=self.name,
                    note=f"line {line}",
                    promise=self.chance,
                    prompted=prompted,
                )
                for one in accepted(made):
                    yield one

    async def _file(
        self, context: RepairContext, broken: Original, turn: int
    ) -> AsyncGenerator[Candidate, None]:
        """The first answer without chance, the others with."""
        messages = [
            {"role": "system", "content": prompts.fill("restore_system")},
            {
                "role": "user",
                "content": prompts.fill(
                    "restore_user",
                    code=broken.text.strip("\n"),
                    error=f"{broken.source.error}",
                    test=self._test(context),
                ),
            },
        ]
        samples, temperature = (1, 0.0) if turn == 0 else (self.samples, self.temperature)
        prompted = Prompted(self.name, as_text(messages), self._options(samples), await self.client.model())
        context.attempts.prompts.append(prompted)
        answers = self.client.chat_samples(
            messages,
            max_tokens=max(LEAST_TOKENS, min(MOST_TOKENS, estimate(broken.text) * 3 // 2)),
            temperature=temperature,
            n=samples,
            stop=["\n```\n"],
            seed=context.seed + 100_003 * turn,
            priority=self.priority,
        )
        async with aclosing(answers) as done:
            async for answer in done:
                for text in standing_alone(answer.text):
                    made = whole(
                        broken,
                        f"{text.rstrip()}\n",
                        proposer=self.name,
                        note="file",
                        promise=self.chance,
                        prompted=prompted,
                    )
                    for one in accepted(made):
                        yield one

    def _test(self, context: RepairContext) -> str:
        """Where the file could not be imported no test began: all of them together tell what is wanted."""
        text = "\n\n".join(_tests(context))
        if len(text) > LONGEST_TEST:
            text = text[:LONGEST_TEST].rpartition("\n")[0]
        return text or shown(context.evidence.test, BUDGET)

    def _options(self, samples: int) -> str:
        return f"{samples} samples"
