"""Which question to ask the model next: the one with the greatest chance of a repair for its cost.

The chance is the asker's own estimate (how suspicious the place is, how often such an answer is right)
corrected by the record of its kind in this search. The record counts only tasks whose candidates were
all run, and the choice waits for those, so that it hangs on the answers and not on the clock.

Before a question is put to a model on this machine, edits that promise more a second are run, see
`turns.py`. So where there are few of them and the tests are quick, all are run before the first question.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from attrs import define, field, frozen

from backtrail_model.errors import HostError, PromptTooLong
from backtrail_model.repair.candidates import Candidate
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.proposers.base import Asker, Lane, Task

TRUST = 3.0
"""How many tasks the estimate is worth beside the record."""
FULL, PART = 1.0, 0.35
"""What counts as a success: a candidate that passed, or one that passed more tests than the program did."""


@define
class _Record:
    tasks: int = 0
    successes: float = 0.0

    def corrected(self, chance: float) -> float:
        return (TRUST * chance + min(self.successes, 1.0)) / (TRUST + self.tasks)


@define
class _Done:
    """What became of a task; `keys` are its candidates."""

    kind: str
    keys: list[str] = field(factory=list)


@frozen
class Schedule:
    """Takes turns among askers until none has anything to ask. `most` bounds the number of requests.

    `shares_machine`: the model computes where the candidates are run.
    """

    askers: Sequence[Asker]
    most: int = 1000
    shares_machine: bool = True
    name: str = "model"
    lane: Lane = "model"

    async def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
        finished: set[tuple[object, ...]] = set()
        records: dict[str, _Record] = {}
        last: _Done | None = None
        for _ in range(self.most):
            task = await self._chosen(context, records, finished)
            if task is None:
                return
            finished.add((task.kind, *task.key))
            done = _Done(task.kind)
            try:
                async with aclosing(_asked(context, task)) as found:
                    async for one in found:
                        done.keys.append(one.key)
                        yield one
            except PromptTooLong as error:
                context.attempts.skipped.append(f"{task.kind}: {error}; {error.advice}")
            except HostError as error:
                context.attempts.skipped.append(f"{task.kind}: {error}; {error.advice}")
                return
            if last is not None:
                await _settle(context, last, records)
            last = done

    async def _chosen(
        self, context: RepairContext, records: dict[str, _Record], finished: set[tuple[object, ...]]
    ) -> Task | None:
        """The next task, when it is its turn. What was run in the meantime may have changed which it is."""
        task = self._next(context, records, finished)
        if task is None or not self.shares_machine:
            return task
        chance = records.get(task.kind, _Record()).corrected(task.chance)
        if await context.attempts.turns.until_worth(chance, task.cost_s):
            return self._next(context, records, finished)
        return task

    def _next(
        self, context: RepairContext, records: dict[str, _Record], finished: set[tuple[object, ...]]
    ) -> Task | None:
        open_tasks = (
            task
            for asker in self.askers
            for task in asker.tasks(context)
            if (task.kind, *task.key) not in finished
        )
        return max(
            open_tasks,
            key=lambda task: records.get(task.kind, _Record()).corrected(task.chance) / task.cost_s,
            default=None,
        )


async def _asked(context: RepairContext, task: Task) -> AsyncGenerator[Candidate, None]:
    context.attempts.turns.asking()
    try:
        async with aclosing(task.run()) as found:
            async for one in found:
                yield one
    finally:
        context.attempts.turns.asked(task.cost_s)


async def _settle(context: RepairContext, done: _Done, records: dict[str, _Record]) -> None:
    """Enters a task into the record once all of its candidates were run."""
    await context.attempts.until_ran(done.keys)
    record = records.setdefault(done.kind, _Record())
    record.tasks += 1
    passed = {one.key for one in context.attempts.passed}
    if passed & set(done.keys):
        record.successes += FULL
    elif context.attempts.better & set(done.keys):
        record.successes += PART
