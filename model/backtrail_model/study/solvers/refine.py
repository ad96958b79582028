"""`refine-K`: the greedy answer, then up to K rounds in which the model sees what its last program did.

As in Self-Debug (Chen et al. 2023), with the outcome of the visible tests as the feedback.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from attrs import evolve

from backtrail_model import prompts
from backtrail_model.repair.verdicts import Verdict
from backtrail_model.study.meter import Tokens
from backtrail_model.study.solvers.asking import draw, opening
from backtrail_model.study.solvers.bench import Bench, Outcome, Sample
from backtrail_model.study.solvers.wording import Message

Run = Callable[[Bench, str], Awaitable[Verdict]]
NO_PROGRAM = "there was no complete program in the reply that differs from the wrong one"
LONGEST = 600  # characters of a failure's message


async def refine(bench: Bench, rounds: int, run: Run) -> Outcome:
    messages: list[Message] = opening(bench)
    samples: list[Sample] = []
    seconds, tokens = 0.0, Tokens()
    for _ in range(rounds + 1):
        draws = await draw(bench, messages)
        began = time.monotonic()
        sample = draws.samples[0]
        verdict = await run(bench, sample.program) if sample.program is not None else None
        samples.append(evolve(sample, visible=verdict.passed if verdict is not None else None))
        seconds += draws.seconds + time.monotonic() - began
        tokens += draws.tokens
        if samples[-1].visible:
            break
        messages = [*messages, *_next(sample.answer, said(verdict))]
    passed = bool(samples[-1].visible)
    return Outcome(
        program=next((one.program for one in reversed(samples) if one.program is not None), None),
        samples=tuple(samples),
        verified=passed,
        preferred=passed,
        first_s=seconds if passed else None,
        seconds=seconds,
        tokens=tokens,
    )


def said(verdict: Verdict | None) -> str:
    """What came of a program, for the model: the first failure, with the values that were compared."""
    if verdict is None:
        return NO_PROGRAM
    if not verdict.failures:
        return verdict.summary
    failure = verdict.failures[0]
    if failure.expected is not None and failure.actual is not None:
        return f"expected {failure.expected}, got {failure.actual}"
    return f"{failure.type}: {failure.message}"[:LONGEST]


def _next(answer: str, outcome: str) -> list[Message]:
    user = prompts.fill("study_refine_user", outcome=outcome)
    return [{"role": "assistant", "content": answer}, {"role": "user", "content": user}]
