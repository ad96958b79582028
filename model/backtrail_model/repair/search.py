"""The search: proposers fill a queue, the verifier empties it, the best that passed is on offer.

Any-time: the first candidate that passes everything is yielded at once; for a short while after it,
better ones replace it. Candidates are run while the models still write. Which candidates there are
and which of two fixes is better depends on the seed and the answers only, not on the clock.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

from attrs import define, evolve, field, frozen

from backtrail_model.repair import flags as fishy
from backtrail_model.repair.behaviour import Subject, observe, subject_of
from backtrail_model.repair.candidates import Candidate
from backtrail_model.repair.context import RepairContext, remaining, vouching
from backtrail_model.repair.fixes import MANY_TESTS, Fix, fix_of
from backtrail_model.repair.judge import Judge
from backtrail_model.repair.proposers.base import Proposer
from backtrail_model.repair.verdicts import Observer, Verdict, Verifier
from backtrail_model.repair.votes import Votes

SETTLE_S = 3.0
BLIND_SETTLE_S = 10.0
QUESTIONS = 3
"""What independent proposals do not agree on has to wait longer for a better one, so long and for so many
more questions to a model, however slow that is: it may fit the tests by chance. Where one test alone is for
it, the budget is used up: every further opinion counts."""
PATIENT = 8.0
LATE = 0.05
"""A candidate that came to its limit gets another chance, much later, with a much longer one."""


@frozen
class Progress:
    """For a person who waits. `total` is what is known so far, and grows."""

    tried: int
    waiting: int
    seconds: float
    best: str  # the title of the best fix so far; empty when there is none


async def repair(
    context: RepairContext,
    proposers: Sequence[Proposer],
    verifier: Verifier,
    *,
    budget_s: float,
    settle_s: float = SETTLE_S,
    blind_settle_s: float = BLIND_SETTLE_S,
    questions: int = QUESTIONS,
    at_once: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
) -> AsyncGenerator[Fix, None]:
    """Yields fixes, each better than the one before. Ends when the candidates or the budget end, or
    `settle_s` after the first fix that proposals agree on, `blind_settle_s` and so many `questions` after
    one that several tests are for (`settle_s` after any where no model takes part); not after one with which
    tests that run the changed function still fail. `at_once` candidates run side by side. Closing the
    generator stops the models, the runs and everything else. Raises what a proposer or the verifier raises.
    """
    alone = not any(proposer.lane == "model" for proposer in proposers)
    vouched_s, little_s = (settle_s, settle_s) if alone else (blind_settle_s, budget_s)
    limits = _Limits(budget_s, settle_s, vouched_s, little_s, 0 if alone else questions)
    search = _Search(context, Judge(context, verifier), on_progress or (lambda _: None), limits)
    lanes = _lanes(proposers)
    context.attempts.turns.making = sum(lane[0].lane == "cheap" for lane in lanes)
    tasks = [asyncio.create_task(search.propose(lane)) for lane in lanes]
    tasks += [asyncio.create_task(search.verify()) for _ in range(at_once)]
    search.producing = len(tasks) - at_once
    if not search.producing:
        search.changed()
    try:
        while (fix := await search.next_better(tasks)) is not None:
            search.offered = fix
            yield fix
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _lanes(proposers: Sequence[Proposer]) -> list[list[Proposer]]:
    lanes: dict[str, list[Proposer]] = {}
    for proposer in proposers:
        lanes.setdefault(proposer.lane, []).append(proposer)
    return list(lanes.values())


@frozen
class _Limits:
    """Seconds: in all; after the first fix that proposals agree on; after one that several tests are for, and
    the questions that are put after it; after one that has little evidence."""

    budget: float
    agreed: float
    vouched: float
    little: float
    questions: int


@define(eq=False)
class _Search:
    context: RepairContext
    judge: Judge
    report: Callable[[Progress], None]
    limits: _Limits
    started: float = field(factory=time.monotonic)
    producing: int = 0  # lanes that are not done
    running: int = 0  # candidates under verification
    offered: Fix | None = None
    _queue: list[tuple[float, int, Candidate]] = field(factory=list)
    _votes: Votes = field(factory=Votes)
    _passed: dict[str, Fix] = field(factory=dict)
    _late: set[str] = field(factory=set)
    _subjects: dict[tuple[Path, int], Subject | None] = field(factory=dict)
    _count: int = 0
    _first_at: float | None = None
    _asked: int = 0  # questions to models until then
    _agreed_at: float | None = None
    _news: asyncio.Event = field(factory=asyncio.Event)

    def changed(self) -> None:
        """Wakes whoever waits for a candidate or for the end."""
        self._news.set()
        self._news = asyncio.Event()

    async def propose(self, lane: Sequence[Proposer]) -> None:
        try:
            for proposer in lane:
                async with aclosing(proposer.propose(self.context)) as candidates:
                    async for candidate in candidates:
                        self._add(candidate, proposer.lane == "model")
        finally:
            self.producing -= 1
            if lane[0].lane == "cheap":
                self.context.attempts.turns.lane_ended()
            self.changed()

    def _add(self, candidate: Candidate, by_model: bool) -> None:
        if self._votes.add(candidate, by_model=by_model):
            self._push(candidate, candidate.promise)
            self.context.attempts.turns.made(candidate)
        self.changed()

    def _push(self, candidate: Candidate, promise: float) -> None:
        self._count += 1
        heapq.heappush(self._queue, (-promise, self._count, candidate))

    async def verify(self) -> None:
        while not self._over():
            if not self._queue:
                await self._news.wait()
                continue
            _, _, candidate = heapq.heappop(self._queue)
            self.running += 1
            try:
                await self._try(candidate)
            finally:
                self.running -= 1
                self.changed()

    async def _try(self, candidate: Candidate) -> None:
        late, turns = candidate.key in self._late, self.context.attempts.turns
        turns.began()
        verdict = await self.judge(candidate, PATIENT if late else 1.0)
        passed = self.judge.accepts(verdict) is not None and not remaining(self.context, candidate, verdict)
        turns.ended(candidate, verdict.seconds, passed=passed)
        if verdict.status == "timeout" and not late:
            self._late.add(candidate.key)
            self._push(candidate, LATE * candidate.promise)
        if self._judged(candidate, verdict):
            self.changed()
            await self._watch(candidate)

    def _judged(self, candidate: Candidate, verdict: Verdict) -> bool:
        """Whether it makes a fix."""
        attempts, flags = self.context.attempts, self.judge.accepts(verdict)
        if flags is not None:
            before = self.context.originals[candidate.path].text
            flags += fishy.flags(before, candidate.text, self.context.evidence.test.source)
            seconds = time.monotonic() - self.started
            self._passed[candidate.key] = fix_of(
                candidate,
                before,
                verdict,
                seconds=seconds,
                flags=flags,
                vouching=vouching(self.context, candidate, verdict),
                remaining=remaining(self.context, candidate, verdict),
            )
            attempts.passed.append(candidate)
        if self.judge.better(verdict):
            attempts.better.add(candidate.key)
        attempts.note(candidate, verdict)
        best = self._best()
        seconds = time.monotonic() - self.started
        self.report(Progress(len(attempts.tried), len(self._queue), seconds, best.title if best else ""))
        return flags is not None

    async def _watch(self, candidate: Candidate) -> None:
        """Sees what a fix does on other inputs, where that can be seen."""
        if not isinstance(self.judge.verifier, Observer):
            return
        place = (candidate.path, self.context.originals[candidate.path].source.line_of(candidate.start))
        if place not in self._subjects:
            self._subjects[place] = subject_of(self.context, candidate)
        subject = self._subjects[place]
        if subject is not None:
            seen = await observe(self.judge.verifier, subject, candidate)
            if seen is not None:
                self._votes.observed(candidate.key, seen)

    def _best(self) -> Fix | None:
        known = [self._with_votes(fix) for fix in self._passed.values()]
        return min(known, key=lambda fix: fix.rank, default=None)

    def _with_votes(self, fix: Fix) -> Fix:
        key, votes = fix.candidate.key, self._votes
        agreed, questions = votes.support(key, self._passed)
        return evolve(
            fix,
            votes=votes.count(key),
            agreed=agreed,
            questions=questions,
            examples=votes.examples(key),
            tested=self._tested(),
        )

    def _tested(self) -> bool:
        """Whether many tests vouch for whichever fix it is."""
        whole = [fix.vouching for fix in self._passed.values() if not fix.remaining]
        return bool(whole) and min(whole) >= MANY_TESTS

    def _over(self) -> bool:
        return not self.producing and not self._queue and not self.running

    def _deadline(self, best: Fix | None) -> float:
        now = time.monotonic()
        if best is not None and not best.remaining:  # else it may be half of a repair: there is a better one
            if self._first_at is None:
                self._first_at, self._asked = now, len(self.context.attempts.prompts)
            if best.seconded:
                self._agreed_at = self._agreed_at or now
        limits = self.limits
        asked = len(self.context.attempts.prompts) - self._asked
        early = best is None or best.little or asked < limits.questions
        patience = limits.little if early else limits.vouched
        ends = [(self.started, limits.budget), (self._agreed_at, limits.agreed), (self._first_at, patience)]
        return min(since + seconds for since, seconds in ends if since is not None)

    def _is_news(self, best: Fix) -> bool:
        """Better than what is on offer, and neither the same nor the same in other words."""
        if self.offered is None:
            return True
        before = self._with_votes(self.offered)
        if best.candidate.key == before.candidate.key:
            gained = before.little != self.offered.little
            self.offered = before
            return gained  # its title says more now
        same = self._votes.same(best.candidate.key, before.candidate.key)
        smaller = (len(best.flags), best.size) < (len(before.flags), before.size)
        return best.rank < before.rank and (smaller or not same)

    async def next_better(self, tasks: Sequence[asyncio.Task[None]]) -> Fix | None:
        """The next fix that is better than the one on offer; None at the deadline or at the end."""
        while True:
            for task in tasks:
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
            best = self._best()
            if best is not None and self._is_news(best):
                return best
            left = self._deadline(best) - time.monotonic()
            if self._over() or left <= 0:
                return None
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                return None
