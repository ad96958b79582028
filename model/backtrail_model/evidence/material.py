"""What every representation is made from, and what it makes."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from backtrail_model.evidence.facts import Fact
from backtrail_model.testcode import TestCode
from backtrail_tracer.slicing import History, Slice
from backtrail_tracer.trace import Failure, Hit


@frozen
class Material:
    """One failure of one trace. `budget` is in (estimated) tokens of facts."""

    history: History
    failure: Failure
    slice: Slice
    tests: TestCode
    main: Path | None  # the file whose facts need no prefix
    budget: int

    def prefix(self, path: Path) -> str:
        return "" if path == self.main else f"{path.stem}:"

    def ran(self) -> list[Hit]:
        """What the failing test recorded in functions under test that the slice reaches, in order."""
        codes = {self.history.trace.frames[step.hit.frame].code for step in self.slice.steps}
        frames = [
            frame
            for frame in self.history.trace.frames.values()
            if frame.item == self.failure.item
            and frame.code in codes
            and frame.code.name != "<module>"
            and not self.tests.holds(frame.code.path, frame.code.name)
        ]
        hits = [hit for frame in frames for hit in self.history.hits(frame.id)]
        return sorted(hits, key=lambda hit: hit.order)


@frozen
class Rendering:
    """`text` as the model sees it; `facts` are those it may cite; for `omitted` there was no room."""

    text: str
    facts: tuple[Fact, ...] = ()
    omitted: tuple[Fact, ...] = ()
    with_outcome: bool = True  # whether the call, expected and actual go before the text
