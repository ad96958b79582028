"""From an outcome to a record: the hidden tests are run on what was offered and on every sample."""

from __future__ import annotations

import ast
from contextlib import AsyncExitStack
from types import TracebackType

from attrs import define, field

from backtrail_model.study.conditions import Condition
from backtrail_model.study.hidden import Judge, check, judging
from backtrail_model.study.records import Cell, Records
from backtrail_model.study.replay import Unusable
from backtrail_model.study.solvers import Outcome
from backtrail_model.study.tasks import Item
from backtrail_tracer.interpreter import Interpreter


@define(eq=False)
class Judged:
    """The judge of one item, started when it is first needed. An async context manager."""

    item: Item
    python: Interpreter
    _stack: AsyncExitStack = field(factory=AsyncExitStack)
    _judge: Judge | None = None

    async def __aenter__(self) -> Judged:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def unusable(self, records: Records) -> Unusable | None:
        """Why the hidden tests cannot judge this item; looked at once a study."""
        if self.item.id in records.usable:
            return None
        reason = await check(self.item, await self._started())
        if reason is None:
            records.add_usable(self.item.id)
        return reason

    async def cell(self, condition: Condition, outcome: Outcome) -> Cell:
        right = [await self._right(sample.program) for sample in outcome.samples]
        return Cell.of(self.item.id, condition, outcome, right, await self._right(outcome.program))

    async def _right(self, program: str | None) -> bool:
        if program is None:
            return False
        if self.item.task.kind == "output":
            return _equal(program, self.item.secret.hidden)
        return await (await self._started())(program)

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
