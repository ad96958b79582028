"""Which question is asked next, given chances, costs and what came of the ones before."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from attrs import define, evolve, field

from backtrail_model.errors import HostUnreachable
from backtrail_model.repair import RepairContext
from backtrail_model.repair.candidates import Candidate
from backtrail_model.repair.proposers import Mutations, Schedule
from backtrail_model.repair.proposers.base import Task
from tests.model.test_proposers import context, proposed
from tests.model.test_search import FakeVerdict


@define(eq=False)
class Asks:
    """`kinds` maps a kind to (number of tasks, chance, cost); `asked` is the order in which they were run."""

    kinds: dict[str, tuple[int, float, float]]
    candidates: list[Candidate]
    fails: str = ""
    name: str = "asks"
    asked: list[str] = field(factory=list)

    def tasks(self, context: RepairContext) -> Iterator[Task]:
        for kind, (count, chance, cost_s) in self.kinds.items():
            for number in range(count):
                yield Task(kind, (number,), chance, cost_s, lambda kind=kind: self._run(kind))  # type: ignore[misc]

    async def _run(self, kind: str) -> AsyncGenerator[Candidate, None]:
        self.asked.append(kind)
        if kind == self.fails:
            raise HostUnreachable("gone")
        yield evolve(self.candidates[0], key=f"{kind} {len(self.asked)}")


async def order(
    kinds: dict[str, tuple[int, float, float]], good: str = "", fails: str = "", most: int = 99
) -> list[str]:
    given = context()
    asks = Asks(kinds, (await proposed(Mutations(most=5), given))[:1], fails)
    async with aclosing(Schedule([asks], most=most).propose(given)) as running:
        async for one in running:
            if good and one.key.startswith(good):
                given.attempts.passed.append(one)
            given.attempts.note(one, FakeVerdict((), status="failed"))
    return asks.asked


async def test_chance_for_its_cost_decides() -> None:
    kinds = {"dear": (1, 0.6, 10.0), "cheap": (1, 0.2, 1.0), "hopeless": (1, 0.01, 1.0)}
    assert await order(kinds) == ["cheap", "dear", "hopeless"]


async def test_a_kind_that_fails_gives_way_and_one_that_helps_goes_on() -> None:
    kinds = {"one": (6, 0.5, 1.0), "two": (6, 0.45, 1.0)}
    failing = await order(kinds, most=6)
    assert failing[0] == "one"
    assert failing.count("two") >= 2
    helped = await order(kinds, good="one", most=6)
    assert helped.count("one") > failing.count("one")


async def test_every_task_is_done_once_and_then_it_ends() -> None:
    asked = await order({"one": (3, 0.5, 1.0), "two": (2, 0.5, 2.0)})
    assert sorted(asked) == ["one"] * 3 + ["two"] * 2


async def test_the_same_answers_make_the_same_order() -> None:
    kinds = {"one": (4, 0.5, 1.0), "two": (4, 0.4, 1.0), "three": (4, 0.3, 0.7)}
    assert await order(kinds, good="two") == await order(kinds, good="two")


async def test_a_host_that_is_gone_ends_it_with_a_reason() -> None:
    given = context()
    asks = Asks({"one": (3, 0.5, 1.0)}, await proposed(Mutations(most=1), given), fails="one")
    assert await proposed(Schedule([asks]), given) == []
    assert len(asks.asked) == 1
    assert "gone" in given.attempts.skipped[0]
