"""Prompts of the study, and what their answers mean."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Mapping, Sequence

from backtrail_model import prompts
from backtrail_model.client import Completion, ModelClient
from backtrail_model.evidence.tokens import estimate
from backtrail_model.repair.answers import standing_alone, texts
from backtrail_model.repair.candidates import Candidate, whole
from backtrail_model.study.meter import MeteredClient, Tokens
from backtrail_model.study.solvers import explaining
from backtrail_model.study.solvers.bench import Bench, Draws, Sample
from backtrail_model.study.solvers.wording import Message, message, section
from backtrail_model.study.tasks import Kind

OUTPUT_TOKENS = 200
MOST_TOKENS = 1024
TEMPERATURE = 0.8
_FENCE = re.compile(r"```[\w+-]*[^\n]*\n(.*?)(?:\n```|\Z)", re.DOTALL)


def opening(bench: Bench) -> list[Message]:
    """The system's and the first user's message."""
    if bench.task.kind == "output":
        facts = section("study_example", bench.facts)
        user = prompts.fill(
            "study_output_user", program=bench.task.source.strip("\n"), facts=facts, call=bench.task.call
        )
        return _messages(prompts.fill("study_output_system"), user)
    if bench.task.kind == "explain":
        check = bench.context.evidence.test.assertion if bench.context else ""
        return explaining.messages(bench.task.source, bench.facts, check)
    return repair_messages(bench.task.source, bench.facts)


def repair_messages(program: str, facts: str) -> list[Message]:
    """What a model is asked for a repair; the same when it is trained and when it is studied."""
    user = prompts.fill("study_repair_user", program=program.strip("\n"), facts=section("study_facts", facts))
    return _messages(prompts.fill("study_repair_system"), user)


def _messages(system: str, user: str) -> list[Message]:
    return [message("system", system), message("user", user)]


async def draw(bench: Bench, messages: Sequence[Message], *, n: int = 1, temperature: float = 0.0) -> Draws:
    """`n` answers in the order of their index. The same are not drawn twice. Raises HostError."""
    key = (repr(messages), n, temperature)
    if key not in bench.known:
        client = needed(bench)
        began = time.monotonic()
        answers = [
            (answer, time.monotonic() - began)
            async for answer in client.chat_samples(
                messages, max_tokens=room(bench), temperature=temperature, n=n, seed=bench.seed
            )
        ]
        answers.sort(key=lambda pair: pair[0].index)
        samples = tuple(_sample(bench, answer, seconds) for answer, seconds in answers)
        bench.known[key] = Draws(samples, time.monotonic() - began, spent(client))
    return bench.known[key]


def spent(client: ModelClient | None) -> Tokens:
    return client.meter.take() if isinstance(client, MeteredClient) else Tokens()


def needed(bench: Bench) -> ModelClient:
    if bench.client is None:
        raise ValueError("this way of scaling needs a model")
    return bench.client


def room(bench: Bench) -> int:
    """Tokens for an answer. For a repair, the program again and half as much, within bounds."""
    if bench.task.kind == "output":
        return OUTPUT_TOKENS
    if bench.task.kind == "explain":
        return explaining.MOST_TOKENS
    return min(MOST_TOKENS, OUTPUT_TOKENS + estimate(bench.task.source) * 3 // 2)


def _sample(bench: Bench, answer: Completion, seconds: float) -> Sample:
    return Sample(answer.text, _READERS[bench.task.kind](bench, answer.text), seconds)


def program(bench: Bench, answer: str) -> str | None:
    """The whole program that an answer means; None when it means none, or the one it was given."""
    if bench.original is None:
        return next(standing_alone(answer), None)
    made = (whole(bench.original, text, proposer="study") for text in texts(bench.original, answer))
    return next((one.text for one in made if isinstance(one, Candidate)), None)


def literal(_: Bench, answer: str) -> str | None:
    """The value that an answer means, as Python writes it; None when it is no literal."""
    for text in (*_FENCE.findall(answer), answer):
        try:
            return repr(ast.literal_eval(text.strip()))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


_READERS: Mapping[Kind, Callable[[Bench, str], str | None]] = {
    "repair": program,
    "output": literal,
    "explain": explaining.named,
}
