"""Who has the machine: edits that wait to be run, or the next question to a model on the same machine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from attrs import define, evolve, field

from backtrail_model.client import ModelClient
from backtrail_model.repair import RepairContext, repair, standard
from backtrail_model.repair.candidates import Candidate
from backtrail_model.repair.proposers import Mutations, Schedule
from backtrail_model.repair.proposers.base import Task
from tests.model.test_proposers import context, proposed
from tests.model.test_search import FakeVerdict, FakeVerifier, has


@define(eq=False)
class Timed(FakeVerifier):
    """Says that a run took `said_s`, without taking it."""

    said_s: float = 0.0

    async def verify(self, *given: Any, **limits: Any) -> FakeVerdict:
        verdict = await super().verify(*given, **limits)
        return evolve(verdict, seconds=self.said_s)


@define(eq=False)
class Asks:
    """`questions` of one kind; `seen` is how many candidates had been run when each was put."""

    questions: int = 2
    chance: float = 0.01
    cost_s: float = 10.0
    name: str = "asks"
    seen: list[int] = field(factory=list)

    def tasks(self, context: RepairContext) -> Iterator[Task]:
        for number in range(self.questions):
            yield Task("asks", (number,), self.chance, self.cost_s, lambda: self._run(context))

    async def _run(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
        self.seen.append(len(context.attempts.tried))
        for one in ():
            yield one


async def searched(verifier: FakeVerifier, asks: Asks, *, shares_machine: bool = True) -> RepairContext:
    given = context()
    proposers = (Mutations(), Schedule([asks], shares_machine=shares_machine))
    found = repair(given, proposers, verifier, budget_s=30, settle_s=0.3, blind_settle_s=0.3, questions=0)
    async with aclosing(found) as running:
        async for _ in running:
            pass
    return given


async def number_of_edits() -> int:
    return len({one.key for one in await proposed(Mutations(), context())})


async def test_a_few_quick_edits_are_all_run_before_the_model_is_asked() -> None:
    asks = Asks()
    await searched(Timed(has(), said_s=0.01), asks)
    assert asks.seen == [await number_of_edits()] * 2


async def test_where_a_run_takes_long_the_model_is_asked_at_once() -> None:
    asks = Asks()
    await searched(Timed(has(), said_s=50.0), asks)
    assert asks.seen[0] <= 4, "as many as it takes to know what a run costs"


async def test_a_promising_question_does_not_wait_for_hopeless_edits() -> None:
    asks = Asks(chance=0.9, cost_s=1.0)
    await searched(Timed(has(), said_s=0.01), asks)
    assert 0 < asks.seen[0] < await number_of_edits()


async def test_once_something_passed_a_second_opinion_is_asked_for() -> None:
    asks = Asks()
    given = await searched(Timed(has("result += price"), said_s=0.01), asks)
    assert given.attempts.passed
    assert asks.seen[0] < await number_of_edits()


async def test_a_model_on_another_machine_takes_nothing_away() -> None:
    asks = Asks()
    await searched(Timed(has(), said_s=0.01), asks, shares_machine=False)
    assert asks.seen[0] < await number_of_edits()


@pytest.mark.parametrize(
    ("url", "shares"),
    [("http://127.0.0.1:8080/v1", True), ("http://localhost:1/v1", True), ("http://gpu.example/v1", False)],
)
async def test_the_address_tells_whose_machine_it_is(url: str, shares: bool) -> None:
    async with ModelClient(url, model="m", allowed_hosts=["gpu.example"]) as client:
        (schedule,) = (one for one in standard(client) if isinstance(one, Schedule))
    assert schedule.shares_machine == shares


async def test_the_same_search_asks_at_the_same_point() -> None:
    points = []
    for said_s in (0.017, 0.019, 0.03):  # the machine is not as fast each time
        asks = Asks(chance=0.3, cost_s=3.0)
        await searched(Timed(has(), said_s=said_s), asks)
        points.append(asks.seen)
    assert points[0] == points[1] == points[2]
