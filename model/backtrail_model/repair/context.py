"""All that a proposer may know about the failure that is to be repaired."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import define, field, frozen

from backtrail_model.evidence import DEFAULT, Evidence, gather_from
from backtrail_model.repair.candidates import Candidate, Original, Prompted
from backtrail_model.repair.suspects import Suspect, rank
from backtrail_model.repair.verdicts import Verdict
from backtrail_model.testcode import TestCode, test_code
from backtrail_tracer.slicing import History, Slice, SourceOf, slice_failure
from backtrail_tracer.trace import Failure, Item, Trace


@define
class Attempts:
    """What has been tried so far; written by the search, read by proposers of later rounds."""

    tried: list[tuple[Candidate, Verdict]] = field(factory=list)
    passed: list[Candidate] = field(factory=list)
    filled: set[tuple[str, Path, int]] = field(
        factory=set
    )  # kind, file and offset of the holes that were filled
    prompts: list[Prompted] = field(factory=list)
    skipped: list[str] = field(factory=list)  # why a proposer could not do its part

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
    originals = _originals(history, tests)
    return RepairContext(
        history=history,
        failure=failure,
        slice=sliced,
        evidence=gather_from(history, failure, sliced, representation),
        originals=originals,
        suspects=rank(history, failure, sliced, originals),
        tests=tests,
        item=next((item for item in trace.items if item.id == failure.item), None),
        seed=seed,
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
