"""All that a proposer may know about the failure that is to be repaired."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import define, field, frozen

from backtrail_model.evidence import DEFAULT, Evidence, gather_from
from backtrail_model.repair.candidates import Candidate, Original, Prompted
from backtrail_model.repair.source import error_of
from backtrail_model.repair.suspects import Suspect, rank
from backtrail_model.repair.turns import Turns
from backtrail_model.repair.verdicts import Verdict
from backtrail_model.testcode import TestCode, test_code
from backtrail_tracer.slicing import History, Slice, SourceOf, slice_failure
from backtrail_tracer.trace import Failure, Item, Trace


@define
class Attempts:
    """What has been tried so far; written by the search, read by proposers of later rounds."""

    tried: list[tuple[Candidate, Verdict]] = field(factory=list)
    passed: list[Candidate] = field(factory=list)
    ran: set[str] = field(factory=set)  # keys of the candidates that were run
    better: set[str] = field(factory=set)  # keys of those that passed more tests than the program did
    prompts: list[Prompted] = field(factory=list)
    skipped: list[str] = field(factory=list)  # why a proposer could not do its part
    turns: Turns = field(factory=Turns, repr=False)
    _news: asyncio.Event = field(factory=asyncio.Event, repr=False)

    def note(self, candidate: Candidate, verdict: Verdict) -> None:
        """A candidate was run."""
        self.tried.append((candidate, verdict))
        self.ran.add(candidate.key)
        self._news.set()

    async def until_ran(self, keys: Iterable[str]) -> None:
        """Returns when the candidates with these keys were run."""
        wanted = set(keys)
        while not self.ran >= wanted:
            self._news.clear()
            await self._news.wait()

    def best(self) -> tuple[Candidate, Verdict] | None:
        """The candidate that passed the most tests; of equals the most promising one."""
        ran = [(c, v) for c, v in self.tried if v.failures and not v.passed]
        return max(ran, key=lambda pair: (pair[1].passed_count, pair[0].promise), default=None)


@frozen
class RepairContext:
    """See `prepare`."""

    history: History = field(repr=False)
    failure: Failure
    slice: Slice = field(repr=False)
    evidence: Evidence = field(repr=False)
    originals: Mapping[Path, Original] = field(repr=False)
    suspects: tuple[Suspect, ...]
    tests: TestCode
    item: Item | None  # the failing test; None when the entry has no items
    seed: int
    broken: Original | None = None  # the file that did not parse, where that is the failure
    attempts: Attempts = field(factory=Attempts, repr=False)

    @property
    def trace(self) -> Trace:
        return self.history.trace


def prepare(
    trace: Trace, failure: Failure, source_of: SourceOf, *, seed: int = 0, representation: str = DEFAULT
) -> RepairContext:
    """Gathers evidence and ranks the statements of every traced file that is no test.

    `source_of` gives the texts as they ran; files that it cannot read or that do not parse are left out.
    """
    history = History(trace, source_of)
    sliced = slice_failure(history, failure)
    tests = test_code(trace)
    parsed, broken = _originals(history, tests), _broken(history, failure, tests)
    originals = {**parsed, broken.path: broken} if broken is not None else parsed
    return RepairContext(
        history=history,
        failure=failure,
        slice=sliced,
        evidence=gather_from(history, failure, sliced, representation),
        originals=originals,
        suspects=rank(history, failure, sliced, parsed),
        tests=tests,
        item=next((item for item in trace.items if item.id == failure.item), None),
        seed=seed,
        broken=broken,
    )


def _originals(history: History, tests: TestCode) -> dict[Path, Original]:
    found: dict[Path, Original] = {}
    for path in sorted(history.trace.files):
        text = history.text(path)
        if text and not tests.holds(path, ""):
            try:
                found[path] = Original.of(path, text, tests)
            except (SyntaxError, ValueError):
                continue
    return found


def _broken(history: History, failure: Failure, tests: TestCode) -> Original | None:
    """The file of the program that a SyntaxError is about; a test's is never touched."""
    path = failure.unparsed
    text = history.text(path) if path is not None else ""
    if path is None or not text or tests.holds(path, "") or error_of(text) is None:
        return None
    return Original.broken(path, text, tests)


def vouching(context: RepairContext, candidate: Candidate, verdict: Verdict) -> int:
    """How many tests ran the function that a candidate changes. A run without tests counts as one. Of a file
    that did not parse, no test could run anything: those that pass now say so for it."""
    if context.broken is not None:
        return verdict.passed_count or 1
    return len(_ran(context, candidate)) or 1


def remaining(context: RepairContext, candidate: Candidate, verdict: Verdict) -> int:
    """How many tests fail with a candidate as they did before though they run the function that it changes:
    that may be the same bug still. A test that never comes there has a trouble of its own."""
    passed = {item.name for item in verdict.items if item.outcome == "passed"}
    ran = _ran(context, candidate)
    return sum(item.id in ran and item.name not in passed for item in context.trace.failed_items)


def _ran(context: RepairContext, candidate: Candidate) -> set[int | None]:
    """The tests that ran the function that a candidate changes."""
    source = context.originals[candidate.path].source
    first, last = source.function_lines(source.line_of(candidate.start))
    hits = (
        hit
        for line, found in context.trace.lines(candidate.path).items()
        if first <= line <= last
        for hit in found
    )
    frames = context.trace.frames
    return {frames[hit.frame].item for hit in hits if frames[hit.frame].code.name != "<module>"}
