"""Runs one candidate: the failing test first, then everything, with limits that fit the entry."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import median

from attrs import define, field

from backtrail_model.repair import flags as fishy
from backtrail_model.repair.candidates import Candidate
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.verdicts import Verdict, Verifier

MULTIPLE = 4.0
"""A candidate may compute this many times what the passing tests took."""
LEAST_CPU_S = 0.1
START_S = 0.8
"""What a run may cost beside its tests, until one has been seen."""
WALL = 8.0
"""On a busy machine a second of computing takes longer; so long is waited for one that does not compute."""
LEAST_WALL_S = 1.5
ENDLESS = ("timeout", "killed")


@define
class Judge:
    """`accepts` says whether a verdict makes a fix, and with which flag."""

    context: RepairContext
    verifier: Verifier
    _overheads: list[float] = field(factory=list)

    async def __call__(self, candidate: Candidate, patience: float = 1.0) -> Verdict:
        """The verdict on the failing test when that fails, else the verdict on all tests of the entry.

        `patience` multiplies the limits.
        """
        overlay = {candidate.path: candidate.text}
        item, run = self.context.item, partial(self._run, overlay, patience)
        if item is None or len(self.context.trace.items) <= 1:
            return await run((), self._all_s(), stop_first=False)
        first = await run((item.name,), self._one_s(), stop_first=True)
        if not first.passed:
            return first
        return await run((), self._all_s(), stop_first=self._whole)

    def better(self, verdict: Verdict) -> bool:
        """Whether the failing test has come further: it passed, or more of the tests did."""
        item, now = self.context.item, {one.name for one in verdict.items if one.outcome == "passed"}
        return (item is not None and item.name in now) or len(now) > len(self.context.trace.passed_items)

    def accepts(self, verdict: Verdict) -> tuple[str, ...] | None:
        """The flags of a verdict that makes a fix: none when everything passed. None: it makes no fix.

        Where other tests failed before, a candidate that repairs this one and breaks none is a fix too.
        """
        if verdict.passed:
            return () if len(verdict.items) >= len(self.context.trace.items) or self._unnamed else None
        item = self.context.item
        if self._whole or item is None or verdict.status in ENDLESS:
            return None
        now = {one.name for one in verdict.items if one.outcome == "passed"}
        before = {one.name for one in self.context.trace.passed_items}
        return (fishy.PARTLY,) if {item.name, *before} <= now else None

    @property
    def _whole(self) -> bool:
        """Whether this failure is the only one, so that nothing less than all tests will do."""
        return len(self.context.trace.failed_items) <= 1

    @property
    def _unnamed(self) -> bool:
        return not self.context.trace.items

    async def _run(
        self,
        overlay: dict[Path, str],
        patience: float,
        items: tuple[str, ...],
        tests_s: float,
        *,
        stop_first: bool,
    ) -> Verdict:
        cpu_s = patience * (LEAST_CPU_S + MULTIPLE * tests_s + self._overhead_s)
        wall_s = max(LEAST_WALL_S, WALL * cpu_s)
        verdict = await self.verifier.verify(
            overlay, items, wall_s=wall_s, cpu_s=cpu_s, stop_first=stop_first
        )
        if verdict.status not in ENDLESS:
            inside = sum(item.seconds for item in verdict.items)
            self._overheads = [*self._overheads[-19:], max(0.0, (verdict.cpu_s or verdict.seconds) - inside)]
        return verdict

    @property
    def _overhead_s(self) -> float:
        """What a run costs beside its tests, by those that were seen."""
        return 3 * median(self._overheads) if self._overheads else START_S

    def _one_s(self) -> float:
        """What the failing test may take: as long as the slowest that passed, or as itself if it ended."""
        times = [item.seconds for item in self.context.trace.passed_items]
        item = self.context.item
        if item is not None and item.outcome in ("failed", "error"):
            times.append(item.seconds)
        return max(times, default=0.0)

    def _all_s(self) -> float:
        return sum(item.seconds for item in self.context.trace.passed_items) + self._one_s()
