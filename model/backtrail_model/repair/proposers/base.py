"""What every proposer is: something that turns the context into candidates, one after another.

Those that ask a model offer their work in pieces, as tasks, from which the schedule takes the one that
promises most for its cost.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import Literal, Protocol

from attrs import field, frozen

from backtrail_model.errors import HostError
from backtrail_model.evidence.tokens import estimate
from backtrail_model.repair.answers import texts
from backtrail_model.repair.candidates import Candidate, Original, Rejected, whole
from backtrail_model.repair.context import RepairContext

Lane = Literal["cheap", "model"]

READ_S, STEP_S, SAMPLE_S = 0.01, 0.06, 0.02
"""What a token of a prompt, a step of decoding, and each sample in a step cost: for the order of tasks only.
About what `bench.model_host` measures on two cores (a token read in 9 ms, a step of one sample in 78 ms, of
eight in 228 ms). They are constants, so that the order does not hang on the clock."""


class Proposer(Protocol):
    """Proposers of the same lane take turns in the order they were given; the lanes run side by side.

    Closing the generator must stop all work at once, a request to a model included.
    """

    @property
    def name(self) -> str: ...

    @property
    def lane(self) -> Lane: ...

    def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]: ...


@frozen
class Task:
    """One request to a model. `chance` is that of a repair, `cost_s` about the seconds it takes."""

    kind: str  # tasks of a kind share their record
    key: tuple[object, ...]  # a task is done once
    chance: float
    cost_s: float
    run: Callable[[], AsyncGenerator[Candidate, None]] = field(repr=False)


class Asker(Protocol):
    """What a proposer could ask a model now, given what was tried."""

    @property
    def name(self) -> str: ...

    def tasks(self, context: RepairContext) -> Iterator[Task]: ...


async def each(tasks: Iterable[Task], context: RepairContext, name: str) -> AsyncGenerator[Candidate, None]:
    """The tasks one after another, without a schedule; a host that fails is a reason to end, and no error."""
    try:
        for task in tasks:
            async with aclosing(task.run()) as found:
                async for one in found:
                    yield one
    except HostError as error:
        context.attempts.skipped.append(f"{name}: {error}")


def accepted(made: Candidate | Rejected) -> Iterator[Candidate]:
    """The candidate, if it is one."""
    if isinstance(made, Candidate):
        yield made


def from_answer(original: Original, answer: str, **how: object) -> Iterator[Candidate]:
    """What an answer of a model means for a file, as candidates; `how` as for `whole`."""
    for text in texts(original, answer):
        yield from accepted(whole(original, text, **how))


def unread(context: RepairContext, prompt: str) -> int:
    """Tokens of a prompt that the model has to read: none of one that was put before, as the host has it."""
    known = any(prompt == asked.text for asked in context.attempts.prompts)
    return 0 if known else estimate(prompt)


def cost_s(unread_tokens: int, steps: int, samples: int = 1) -> float:
    """Seconds of a request for `samples` of about `steps` tokens each."""
    return READ_S * unread_tokens + steps * (STEP_S + SAMPLE_S * samples)
