"""The whole study: which cells there are, which are done, and doing the others one after another.

Item by item, and for each item every condition of a model: whenever it is stopped, what is there is
paired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from random import Random

from attrs import define, field, frozen

from backtrail_model.study.conditions import NO_MODEL, Condition
from backtrail_model.study.judged import Judged
from backtrail_model.study.meter import MeteredClient
from backtrail_model.study.records import Records
from backtrail_model.study.replay import Unusable
from backtrail_model.study.tasks import Item
from backtrail_model.study.workbench import Workbench, at_work
from backtrail_tracer.interpreter import Interpreter


@frozen
class Address:
    """Where a model answers. `model` is the name to ask for; None takes the server's first."""

    base_url: str
    token: str = field(default="", repr=False)
    model: str | None = None
    allowed_hosts: tuple[str, ...] = ()


Hosts = Callable[[str], AbstractAsyncContextManager[Address]]
"""The address of a model, by the name under which it is studied; it may be started for the length of it."""


@frozen
class Plan:
    """What is studied. `budget_s` bounds one search."""

    items: tuple[Item, ...]
    conditions: tuple[Condition, ...]
    seed: int = 0
    budget_s: float = 60.0


@frozen
class Progress:
    """For a person who waits. `words` say what is being done."""

    done: int
    total: int
    words: str


@define(eq=False)
class Study:
    """`run` does what is not done yet; everything it learns goes to `records` at once."""

    plan: Plan
    records: Records
    hosts: Hosts
    python: Interpreter
    report: Callable[[Progress], None] = field(default=lambda _: None)
    _bodies: dict[tuple[str, str], str] = field(factory=dict)  # what a representation says of an item's run

    async def run(self) -> None:
        """Raises HostError when a model cannot be asked any more. Cancelling keeps what was done."""
        for model in dict.fromkeys(condition.model for condition in self.plan.conditions):
            if not self._left(model):
                continue
            self._tell(f"starting {model}")
            if model == NO_MODEL:
                await self._items(model, None)
                continue
            async with self.hosts(model) as address:
                client = _client(address)
                try:
                    await self._items(model, client)
                finally:
                    await client.aclose()
        self._tell("done")

    def left(self) -> int:
        """Cells that are not done."""
        models = dict.fromkeys(condition.model for condition in self.plan.conditions)
        return sum(len(self._pending(item, model)) for model in models for item in self.plan.items)

    def _left(self, model: str) -> bool:
        return any(self._pending(item, model) for item in self.plan.items)

    def _pending(self, item: Item, model: str) -> list[Condition]:
        if item.id in self.records.unusable:
            return []
        mine = (condition for condition in self.plan.conditions if condition.model == model)
        return [one for one in mine if (item.id, *one.key) not in self.records.cells]

    async def _items(self, model: str, client: MeteredClient | None) -> None:
        for item in self.plan.items:
            pending = self._pending(item, model)
            if pending:
                await self._item(item, pending, client)

    async def _item(self, item: Item, pending: Sequence[Condition], client: MeteredClient | None) -> None:
        self._tell(f"{item.id}: replaying it")
        async with at_work(item.task, self.python, self.plan.seed) as work:
            if isinstance(work, Unusable):
                self.records.add_unusable(item.id, work.reason)
                return
            async with Judged(item, self.python, work.replay) as judged:
                if (reason := await judged.unusable(self.records)) is not None:
                    self.records.add_unusable(item.id, reason.reason)
                    return
                for condition in pending:
                    self._tell(f"{item.id}: {condition.name}")
                    other = await self._others(item, condition) if condition.control == "shuffled" else None
                    outcome = await work.solve(condition, client, self.plan.budget_s, other)
                    self.records.add(await judged.cell(condition, outcome))

    async def _others(self, item: Item, condition: Condition) -> str:
        """What the representation says of another item, for the shuffled control: the same one each time.

        Empty when no other item can be replayed.
        """
        order = list(self.plan.items)
        Random(self.plan.seed).shuffle(order)  # noqa: S311 - no secret
        place = next(at for at, one in enumerate(order) if one.id == item.id)
        for donor in [*order[place + 1 :], *order[:place]]:
            body = await self._body(donor, condition.representation)
            if body:
                return body
        return ""

    async def _body(self, item: Item, representation: str) -> str:
        key = (item.id, representation)
        if key not in self._bodies:
            async with at_work(item.task, self.python, self.plan.seed) as work:
                body = work.facts(representation).body if isinstance(work, Workbench) else ""
            self._bodies[key] = body
        return self._bodies[key]

    def _tell(self, words: str) -> None:
        """Before each step. A cancel that a library lost on its way (as asyncio.wait_for may on Python 3.11)
        is heard here, or a person would press Ctrl-C in vain."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        total = len(self.plan.items) * len(self.plan.conditions)
        self.report(Progress(total - self.left(), total, words))


def _client(address: Address) -> MeteredClient:
    return MeteredClient(
        address.base_url, address.token, model=address.model, allowed_hosts=address.allowed_hosts
    )
