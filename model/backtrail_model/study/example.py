"""Facts for an `output` task: a trace of the same function in another call, near the one that is asked for.

A trace of the call itself would hold the answer. So its arguments are changed a little, and the first such
call that returns something is traced; every representation then shows that run.
"""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from attrs import evolve, frozen

from backtrail_model.evidence import Evidence, gather
from backtrail_model.study.replay import Replay, Unusable, replayed
from backtrail_model.study.tasks import Task
from backtrail_tracer.interpreter import Interpreter

MOST_TRIES = 6


@frozen
class Example:
    """A traced call that is not the one that is asked for."""

    call: str
    replay: Replay

    def evidence(self, representation: str) -> Evidence:
        """Only what it says of the run is of use: the assertion that failed was made to fail."""
        return gather(
            self.replay.trace, self.replay.failure, self.replay.source_of, representation=representation
        )

    def headline(self, evidence: Evidence) -> str:
        result = evidence.actual or (evidence.call.result if evidence.call else None)
        return f"{self.call} returned {result}" if result else f"{self.call} was run"


@asynccontextmanager
async def exemplified(task: Task, python: Interpreter) -> AsyncIterator[Example | Unusable]:
    """The nearest call that can be traced, as long as its folder is there."""
    for call in _near(task.call):
        # An assertion that fails stops the run where its value has just come back.
        test = evolve(task, tests=(f"assert {call} is NotImplemented",))
        async with replayed(test, python) as replay:
            if isinstance(replay, Replay) and replay.failure.type == "AssertionError":
                yield Example(call, replay)
                return
    yield Unusable("no call near the one that is asked for returns anything")


def _near(call: str) -> Iterator[str]:
    """Calls with other arguments of the same types, in a fixed order."""
    try:
        tree = ast.parse(call, mode="eval").body
        if not isinstance(tree, ast.Call):
            return
        values = [ast.literal_eval(argument) for argument in tree.args]
    except (SyntaxError, ValueError):
        return
    made = (f"f({', '.join(map(repr, other))})" for other in _changed(values))
    fresh = dict.fromkeys(text for text in made if text != ast.unparse(tree))
    yield from list(fresh)[:MOST_TRIES]


def _changed(values: Sequence[Any]) -> Iterator[list[Any]]:
    """One argument changed, each in turn; the kinds of change from the mildest on."""
    for kind in range(3):
        for place, value in enumerate(values):
            other = _neighbours(value)
            if kind < len(other):
                yield [*values[:place], other[kind], *values[place + 1 :]]


def _neighbours(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value + 2, value - 1]
    if isinstance(value, str | list | tuple):
        return [value[::-1], value[:-1], value[1:]] if len(value) > 1 else [value * 2]
    if isinstance(value, dict) and value:
        pairs = list(value.items())
        return [dict(pairs[1:]), dict(pairs[::-1])]
    return []
