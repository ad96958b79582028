"""From an outcome to a record: the hidden tests are run on what was offered and on every sample.

What is offered for `output` and `explain` is no program: it is compared with what is known to be true.
"""

from __future__ import annotations

import ast
from contextlib import AsyncExitStack
from types import TracebackType

from attrs import define, field

from backtrail_model.study.conditions import Condition
from backtrail_model.study.explained import Explained, explained
from backtrail_model.study.hidden import Judge, check, judging
from backtrail_model.study.records import Cell, Records
from backtrail_model.study.replay import Replay, Unusable
from backtrail_model.study.solvers import Outcome
from backtrail_model.study.tasks import Item
from backtrail_tracer.interpreter import Interpreter


@define(eq=False)
class Judged:
    """The judge of one item, started when it is first needed. An async context manager."""

    item: Item
    python: Interpreter
    replay: Replay | None = None  # of the visible tests; what an explanation is held against
    _stack: AsyncExitStack = field(factory=AsyncExitStack)
    _judge: Judge | None = None
    _truth: Explained | Unusable | None = None

    async def __aenter__(self) -> Judged:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def unusable(self, records: Records) -> Unusable | None:
        """Why answers to this item cannot be judged; the hidden tests are looked at once a study."""
        truth = self._explained()
        if isinstance(truth, Unusable):
            return truth
        if self.item.id in records.usable:
            return None
        reason = await check(self.item, await self._started())
        if reason is None:
            if truth is not None:
                records.add_baselines(self.item.id, truth.baselines)
            records.add_usable(self.item.id)
        return reason

    async def cell(self, condition: Condition, outcome: Outcome) -> Cell:
        right = [await self._right(sample.program) for sample in outcome.samples]
        truth = self._explained()
        claims = [truth.claims(one.answer) for one in outcome.samples] if isinstance(truth, Explained) else []
        offer = await self._right(outcome.program)
        return Cell.of(self.item.id, condition, outcome, right, offer, claims=claims)

    async def _right(self, program: str | None) -> bool:
        if program is None:
            return False
        if self.item.task.kind == "output":
            return _equal(program, self.item.secret.hidden)
        truth = self._explained()
        if truth is not None:
            return isinstance(truth, Explained) and truth.right(program)
        return await (await self._started())(program)

    def _explained(self) -> Explained | Unusable | None:
        """The truth that an explanation is held against; None for another kind of task."""
        if self._truth is None and self.item.task.kind == "explain" and self.replay is not None:
            self._truth = explained(self.item, self.replay)
        return self._truth

    async def _started(self) -> Judge:
        if self._judge is None:
            self._judge = await self._stack.enter_async_context(judging(self.item, self.python))
        return self._judge


def _equal(answer: str, truth: str) -> bool:
    """Whether two literals are equal values; nothing is run."""
    try:
        return bool(ast.literal_eval(answer) == ast.literal_eval(truth))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
