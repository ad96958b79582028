"""Two edits at once, where one of them brought the failing test further: bugs with two places.

All pairs of edits are too many to run. But an edit that is half of the repair often shows: more tests pass
with it, or the same test fails at a later line. From such a half the search goes on as it began, as hill
climbing over the number of passing tests does (GenProg, Weimer et al. 2009, counts them as fitness). The
other half may lie where the run never came, since it failed before.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import islice

from attrs import frozen

from backtrail_model.repair.candidates import Candidate, Rejected, whole
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.judge import ENDLESS
from backtrail_model.repair.proposers.base import Lane, accepted
from backtrail_model.repair.proposers.mutate import Mutations, edits_of, made
from backtrail_model.repair.suspects import unexecuted
from backtrail_model.repair.verdicts import Verdict
from backtrail_tracer.trace import Failure

CHANCE = 0.3
"""About so many of the programs that one edit brings further are repaired by one more of these edits."""
LESS = 0.5
"""How much less likely a second edit is right than it was as the only one."""

Progress = tuple[int, int]
"""How many tests pass, and in which line the failing one fails."""


@frozen
class Compounds:
    """Comes after `Mutations` in their lane. `halves` bounds the edits that are built upon, `most` the
    pairs of each."""

    halves: int = 5
    most: int = 300
    name: str = "pairs"
    lane: Lane = "cheap"

    async def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
        await context.attempts.turns.until_none_waits()
        for half in self._halves(context):
            for one in islice(_pairs(context, half), self.most):
                yield one

    def _halves(self, context: RepairContext) -> list[Candidate]:
        """The edits that came furthest, furthest first; none that came no further than the program."""
        before = _progress_before(context)
        further = [
            (progress, one.promise, one)
            for one, verdict in context.attempts.tried
            if one.proposer == Mutations().name and (progress := _progress(context, verdict)) > before
        ]
        further.sort(key=lambda found: found[:2], reverse=True)
        return [one for *_, one in further[: self.halves]]


def _progress_before(context: RepairContext) -> Progress:
    return len(context.trace.passed_items), _line(context, [context.failure])


def _progress(context: RepairContext, verdict: Verdict) -> Progress:
    """A run of the failing test alone leaves the others as they were; one that was ended shows nothing."""
    if verdict.status in ENDLESS:
        return 0, 0
    alone = len(verdict.items) < len(context.trace.items)
    others = len(context.trace.passed_items) if alone else 0
    return others + verdict.passed_count, _line(context, verdict.failures)


def _line(context: RepairContext, failures: Sequence[Failure]) -> int:
    """The line of the failing test that failed; 0 where that is not known."""
    name = context.item.name if context.item is not None else ""
    frames = (frame for failure in failures for frame in failure.frames)
    lines = (frame.line for frame in frames if frame.name and name.endswith(frame.name))
    return next(lines, 0)


def _pairs(context: RepairContext, half: Candidate) -> Iterator[Candidate]:
    """The half with each other edit of the same function that does not touch it, the likeliest first."""
    others = [one for one in _edits(context, half) if one.end < half.start or half.end < one.start]
    every = sum(one.promise for one in others)
    for other in sorted(others, key=lambda one: -one.promise):
        yield from accepted(_together(context, half, other, CHANCE * other.promise / every))


def _edits(context: RepairContext, half: Candidate) -> Iterator[Candidate]:
    """Those of the function that were tried alone, and those of its statements that did not run."""
    original = context.originals[half.path]
    first, last = original.source.function_lines(original.source.line_of(half.start))
    for one, _ in context.attempts.tried:
        inside = one.path == half.path and first <= original.source.line_of(one.start) <= last
        if inside and one.proposer == Mutations().name:
            yield one
    for suspect in unexecuted(context.trace, original, first, last):
        for _, edit in edits_of(context, suspect):
            yield from made(context, suspect, edit, 1.0)


def _together(
    context: RepairContext, half: Candidate, other: Candidate, chance: float
) -> Candidate | Rejected:
    original = context.originals[half.path]
    first, second = sorted((half, other), key=lambda one: one.start)
    text = original.text[: first.start] + first.replacement + original.text[first.end : second.start]
    text += second.replacement + original.text[second.end :]
    return whole(
        original,
        text,
        proposer=Mutations().name,
        note=f"{first.note}; {second.note}",
        promise=LESS * other.promise,
        chance=chance,
    )
