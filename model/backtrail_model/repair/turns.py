"""Whose turn the machine is: the candidates that wait to be run, or the model.

A model on the same machine takes all of its cores for a request, and a candidate then takes several times
as long to run. So the two take turns, and who is next is told by the rule of the schedule of questions:
the greatest chance of a repair for a second goes first. That order has the least expected time to the
first success among independent tries of known chances and costs (a classic of testing sequences, Mitten
1960). The parts of the rule:

* The chance of an edit is its proposer's estimate, `Candidate.chance`. The estimates of all such edits add
  up to at most 1, so by Bayes' rule the failure of some raises those of the rest: with a mass `m` failed,
  `p` becomes `p / (1 - m)`.
* What it costs is what runs took while the model was silent, on average; the first is not counted, since
  the worker gets ready in it. A run under way costs at least what it has taken so far.
* The chance and the cost of the question are its asker's estimates, the cost corrected by how long the
  questions before it took against their estimates.

Measured figures are rounded up to a power of two, so that two searches under one seed mostly come to the
same order on a machine that is not quite as fast twice. When a question is put is all that the clock can
change: which edits there are, and in which order they are run, it cannot.

Once something passed, the model waits no longer, since what is wanted then is a second opinion.
"""

from __future__ import annotations

import asyncio
import math
import time
from statistics import fmean

from attrs import define, field

from backtrail_model.repair.candidates import Candidate

START_S = 1.0
"""The first run has this much more time, in which the worker gets ready."""
LEAST = 1 / 1024


@define(eq=False)
class Turns:
    """Written by the search, read by those who ask a model. `making`: lanes that still make edits."""

    making: int = 0
    waiting: dict[str, float] = field(factory=dict)  # keys of the edits not yet run → their chances
    _failed: float = 0.0
    _passed: bool = False
    _asking: bool = False
    _alone: bool = False  # since the present run began
    _seconds: list[float] = field(factory=list)
    _asked_at: float = 0.0
    _slowness: list[float] = field(factory=list)  # of questions: seconds taken to seconds estimated
    _since: float = field(factory=time.monotonic)
    _news: asyncio.Event = field(factory=asyncio.Event, repr=False)

    def made(self, candidate: Candidate) -> None:
        if candidate.chance:
            self.waiting[candidate.key] = candidate.chance
        self._changed()

    def began(self) -> None:
        """A candidate, of whichever kind, is being run from now on."""
        self._since, self._alone = time.monotonic(), not self._asking

    def ended(self, candidate: Candidate, seconds: float, *, passed: bool) -> None:
        self._failed += self.waiting.pop(candidate.key, 0.0)
        self._passed = self._passed or passed
        if self._alone:
            self._seconds.append(seconds)
        self._since = time.monotonic()
        self._changed()

    def lane_ended(self) -> None:
        """One of the lanes that make edits has made them all."""
        self.making -= 1
        self._changed()

    def asking(self) -> None:
        """A question is with the model from now on."""
        self._asking, self._alone, self._asked_at = True, False, time.monotonic()

    def asked(self, cost_s: float) -> None:
        """It has been answered; `cost_s` is what had been estimated."""
        self._asking = False
        self._slowness.append((time.monotonic() - self._asked_at) / cost_s)

    @property
    def cost_s(self) -> float:
        """What a run takes on a machine of its own; 0 until that was seen."""
        return _rounded(fmean(self._seconds[1:])) if self._measured else 0.0

    @property
    def _measured(self) -> bool:
        return len(self._seconds) > 1

    async def until_none_waits(self) -> None:
        """Returns when all edits that were made have been run."""
        while self.waiting:
            await self._news.wait()

    async def until_worth(self, chance: float, cost_s: float) -> bool:
        """Returns when a question with this chance and cost promises more a second than what waits to be
        run. True when there was something to wait for."""
        waited = False
        slowness = _rounded(fmean(self._slowness)) if self._slowness else 1.0
        while (left := self._patience(chance / (cost_s * slowness))) > 0:
            waited, news = True, self._news
            try:
                async with asyncio.timeout(left):
                    await news.wait()
            except TimeoutError:
                continue
        return waited

    def _patience(self, rate: float) -> float:
        """For how many seconds more there is nothing better to do than to wait; 0 or less: for none.

        `rate` is what the question promises a second.
        """
        taken = time.monotonic() - self._since
        start = 0.0 if self._measured else START_S
        if self._passed or not (self.waiting or self.making):
            return 0.0
        if not self.waiting:
            return start - taken
        worth_s = max(self.waiting.values()) / max(LEAST, 1.0 - self._failed) / rate
        return 0.0 if self.cost_s > worth_s else worth_s + start - taken

    def _changed(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _rounded(figure: float) -> float:
    return 2.0 ** math.ceil(math.log2(max(LEAST, figure)))
