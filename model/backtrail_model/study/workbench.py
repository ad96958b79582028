"""One item, replayed and ready to be solved under any condition."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from attrs import define, evolve, field, frozen

from backtrail_model.client import ModelClient
from backtrail_model.errors import HostRefused
from backtrail_model.evidence import Evidence
from backtrail_model.repair import Attempts, RepairContext, prepare
from backtrail_model.repair.candidates import Original
from backtrail_model.study.conditions import NO_TRACE, WITHOUT_A_TRACE, Condition
from backtrail_model.study.example import Example, exemplified
from backtrail_model.study.replay import Replay, Unusable, replayed
from backtrail_model.study.solvers import Bench, Outcome, solve
from backtrail_model.study.solvers.bench import Draws
from backtrail_model.study.tasks import Task
from backtrail_model.testcode import TestCode
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.verify import Verifier

RERUN = 104_729
"""Added to the seed for the second run of the no-trace condition."""
REFUSES_THE_PROMPT = (400, 413, 422)
"""For example because it is longer than the context: that item is not solved, and the study goes on."""


@frozen
class Facts:
    """What a representation says: `head` of the call and its outcome, `body` of the run inside."""

    head: str
    body: str

    def __str__(self) -> str:
        return "\n".join(part for part in (self.head, self.body) if part)


@define(eq=False)
class Workbench:
    """`replay` for `repair` and `explain`, `example` for `output`."""

    task: Task
    seed: int
    replay: Replay | None = None
    example: Example | None = None
    verifier: Verifier | None = None
    _contexts: dict[tuple[str, int], RepairContext] = field(factory=dict)
    _draws: dict[tuple[str, str], dict[object, Draws]] = field(factory=dict)

    def facts(self, representation: str) -> Facts:
        if self.replay is not None:
            evidence = self._context(self.replay, representation, self.seed).evidence
            # The same evidence without what was recorded inside is its headline.
            return Facts(evolve(evidence, body="", facts=()).to_text(), _body(evidence))
        if self.example is None or representation == NO_TRACE:
            return Facts("", "")
        evidence = self.example.evidence(representation)
        body = "" if representation in WITHOUT_A_TRACE else _body(evidence)
        return Facts(self.example.headline(evidence), body)

    async def solve(
        self, condition: Condition, client: ModelClient | None, budget_s: float, other: str | None
    ) -> Outcome:
        """What one condition offers. `other` is put where the body of the facts was. Raises HostError."""
        seed = self.seed + (RERUN if condition.control == "rerun" else 0)
        facts = self.facts(condition.representation)
        if other is not None:
            facts = evolve(facts, body=other)
        bench = Bench(self.task, str(facts), client, seed, budget_s, known=self._draws_of(condition))
        if self.replay is not None:
            bench = self._with_tests(bench, self.replay, condition, seed, other)
        try:
            return await solve(bench, condition.scaling)
        except HostRefused as refused:
            if refused.status not in REFUSES_THE_PROMPT:
                raise
            return Outcome(None, (), notes=(str(refused),))

    def _with_tests(
        self, bench: Bench, replay: Replay, condition: Condition, seed: int, other: str | None
    ) -> Bench:
        context = self._context(replay, condition.representation, seed)
        evidence = context.evidence if other is None else evolve(context.evidence, body=other, facts=())
        context = evolve(context, evidence=evidence, attempts=Attempts())
        return evolve(
            bench,
            context=context,
            path=replay.path,
            original=_original(replay.path, self.task.source, context.tests),
            verifier=self.verifier,
        )

    def _context(self, replay: Replay, representation: str, seed: int) -> RepairContext:
        key = (representation, seed)
        if key not in self._contexts:
            self._contexts[key] = prepare(
                replay.trace, replay.failure, replay.source_of, seed=seed, representation=representation
            )
        return self._contexts[key]

    def _draws_of(self, condition: Condition) -> dict[object, Draws]:
        """Answers are shared among ways of scaling of one model and seed only: the rerun draws its own."""
        return self._draws.setdefault((condition.model, condition.control), {})


@asynccontextmanager
async def at_work(task: Task, python: Interpreter, seed: int) -> AsyncIterator[Workbench | Unusable]:
    """The bench of a task, as long as its folder and its processes are there."""
    own_seed = zlib.crc32(f"{seed} {task.id}".encode()) % 2**31
    async with AsyncExitStack() as stack:
        if task.kind == "output":
            example = await stack.enter_async_context(exemplified(task, python))
            found = None if isinstance(example, Unusable) else example
            yield Workbench(task, own_seed, example=found)
            return
        replay = await stack.enter_async_context(replayed(task, python))
        if isinstance(replay, Unusable):
            yield replay
            return
        if task.kind == "explain":
            yield Workbench(task, own_seed, replay=replay)
            return
        verifier = await stack.enter_async_context(Verifier(replay.session, replay.entry))
        yield Workbench(task, own_seed, replay=replay, verifier=verifier)


def _original(path: Path, text: str, tests: TestCode) -> Original | None:
    try:
        return Original.of(path, text, tests)
    except (SyntaxError, ValueError):
        return None


def _body(evidence: Evidence) -> str:
    """The recorded part, with what was left out of it."""
    whole, head = evidence.to_text(), evolve(evidence, body="", facts=()).to_text()
    return whole.removeprefix(head).strip("\n") if evidence.body else ""
