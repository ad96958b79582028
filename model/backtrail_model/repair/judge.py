"""Runs one candidate: the failing test first, then everything, with limits that fit the entry."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from attrs import define, field

from backtrail_model.repair import flags as fishy
from backtrail_model.repair.candidates import Candidate
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.verdicts import Verdict, Verifier

MULTIPLE = 4.0
"""A candidate may take this many times what the passing tests took."""
LEAST_WALL_S = 0.5
START_S = 1.5
"""What starting a run may cost until a few have been seen."""
ENDLESS = ("timeout", "killed")


@define
class Judge:
    """`accepts` says whether a verdict makes a fix, and with which flag."""

    context: RepairContext
    verifier: Verifier
    _overheads: list[float] = field(factory=list)

    async def __call__(self, candidate: Candidate) -> Verdict:
        """The verdict on the failing test when that fails, else the verdict on all tests of the entry."""
        overlay = {candidate.path: candidate.text}
        item = self.context.item
        if item is None or len(self.context.trace.items) <= 1:
            return await self._run(overlay, (), self._all_s(), stop_first=False)
        first = await self._run(overlay, (item.name,), self._one_s(), stop_first=True)
        if not first.passed:
            return first
        return await self._run(overlay, (), self._all_s(), stop_first=self._whole)

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
        self, overlay: dict[Path, str], items: tuple[str, ...], tests_s: float, *, stop_first: bool
    ) -> Verdict:
        overhead = (
            max(self._overheads, default=START_S) if len(self._overheads) < 5 else median(self._overheads) * 2
        )
        wall_s = max(LEAST_WALL_S, MULTIPLE * tests_s + overhead)
        verdict = await self.verifier.verify(overlay, items, wall_s=wall_s, stop_first=stop_first)
        if verdict.status not in ENDLESS:
            inside = sum(item.seconds for item in verdict.items)
            self._overheads = [*self._overheads[-19:], max(0.0, verdict.seconds - inside)]
        return verdict

    def _one_s(self) -> float:
        """What the failing test may take: as long as the slowest that passed, or as itself if it ended."""
        times = [item.seconds for item in self.context.trace.passed_items]
        item = self.context.item
        if item is not None and item.outcome in ("failed", "error"):
            times.append(item.seconds)
        return max(times, default=0.0)

    def _all_s(self) -> float:
        return sum(item.seconds for item in self.context.trace.passed_items) + self._one_s()
