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
from backtrail_model.repair.answers import texts
from backtrail_model.repair.candidates import Candidate, Original, Rejected, whole
from backtrail_model.repair.context import RepairContext

Lane = Literal["cheap", "model"]

PREFILL_S = 0.005
STEP_S = 0.15
"""What a token of a prompt and a step of decoding cost on two cores: for the order of tasks only."""


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


def cost_s(prompt_chars: int, steps: int) -> float:
    """Seconds of a request, by the length of its prompt and the number of tokens it makes in a row."""
    return PREFILL_S * prompt_chars / 3.5 + STEP_S * steps
