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

from attrs import define, evolve, field, frozen

from backtrail_model.repair import flags as fishy
from backtrail_model.repair.candidates import Candidate
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.fixes import Fix, fix_of
from backtrail_model.repair.judge import Judge
from backtrail_model.repair.proposers.base import Proposer
from backtrail_model.repair.verdicts import Verdict, Verifier

SETTLE_S = 3.0
AGREED = 2
BLIND_SETTLE_S = 12.0
"""What fewer than `AGREED` answers of models were has to wait longer for a better one: it may fit the
tests by chance."""


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
    at_once: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
) -> AsyncGenerator[Fix, None]:
    """Yields fixes, each better than the one before. Ends when the candidates or the budget end, or
    `settle_s` after the first fix that two answers of models agree on, `blind_settle_s` after any first
    fix (the same where no model takes part). `at_once` candidates run side by side. Closing the
    generator stops the models, the runs and everything else. Raises what a proposer or the verifier raises.
    """
    if not any(proposer.lane == "model" for proposer in proposers):
        blind_settle_s = settle_s
    limits = (budget_s, settle_s, max(settle_s, blind_settle_s))
    search = _Search(context, Judge(context, verifier), on_progress or (lambda _: None), limits)
    tasks = [asyncio.create_task(search.propose(lane)) for lane in _lanes(proposers)]
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


@define(eq=False)
class _Search:
    context: RepairContext
    judge: Judge
    report: Callable[[Progress], None]
    limits: tuple[float, float, float]  # seconds: in all, after an agreed fix, after any
    started: float = field(factory=time.monotonic)
    producing: int = 0  # lanes that are not done
    running: int = 0  # candidates under verification
    offered: Fix | None = None
    _queue: list[tuple[float, int, Candidate]] = field(factory=list)
    _votes: dict[str, int] = field(factory=dict)  # key -> answers of models that were this program
    _passed: dict[str, Fix] = field(factory=dict)
    _count: int = 0
    _first_at: float | None = None
    _voted_at: float | None = None
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
            self.changed()

    def _add(self, candidate: Candidate, by_model: bool) -> None:
        is_new = candidate.key not in self._votes
        self._votes[candidate.key] = self._votes.get(candidate.key, 0) + by_model
        if is_new:
            self._count += 1
            heapq.heappush(self._queue, (-candidate.promise, self._count, candidate))
        self.changed()

    async def verify(self) -> None:
        while not self._over():
            if not self._queue:
                await self._news.wait()
                continue
            _, _, candidate = heapq.heappop(self._queue)
            self.running += 1
            try:
                self._judged(candidate, await self.judge(candidate))
            finally:
                self.running -= 1
                self.changed()

    def _judged(self, candidate: Candidate, verdict: Verdict) -> None:
        self.context.attempts.tried.append((candidate, verdict))
        flags = self.judge.accepts(verdict)
        if flags is not None:
            before = self.context.originals[candidate.path].text
            flags += fishy.flags(before, candidate.text, self.context.evidence.test.source)
            seconds = time.monotonic() - self.started
            self._passed[candidate.key] = fix_of(candidate, before, verdict, seconds=seconds, flags=flags)
            self.context.attempts.passed.append(candidate)
        best = self._best()
        tried = len(self.context.attempts.tried)
        seconds = time.monotonic() - self.started
        self.report(Progress(tried, len(self._queue), seconds, best.title if best else ""))

    def _best(self) -> Fix | None:
        voted = (evolve(fix, votes=self._votes[key]) for key, fix in self._passed.items())
        return min(voted, key=lambda fix: fix.rank, default=None)

    def _over(self) -> bool:
        return not self.producing and not self._queue and not self.running

    def _deadline(self, best: Fix | None) -> float:
        now = time.monotonic()
        if best is not None:
            self._first_at = self._first_at or now
            if best.votes >= AGREED:
                self._voted_at = self._voted_at or now
        budget, settle, blind = self.limits
        ends = [(self.started, budget), (self._voted_at, settle), (self._first_at, blind)]
        return min(since + seconds for since, seconds in ends if since is not None)

    async def next_better(self, tasks: Sequence[asyncio.Task[None]]) -> Fix | None:
        """The next fix that is better than the one on offer; None at the deadline or at the end."""
        while True:
            for task in tasks:
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
            best = self._best()
            if best is not None and (self.offered is None or best.rank < self.offered.rank):
                same = self.offered is not None and best.candidate.key == self.offered.candidate.key
                if not same:
                    return best
                self.offered = best
            left = self._deadline(best) - time.monotonic()
            if self._over() or left <= 0:
                return None
            # Not asyncio.wait_for: on Python 3.11 it can lose a cancel that comes with the news.
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                return None
