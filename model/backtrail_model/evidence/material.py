"""What every representation is made from, and what it makes."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from backtrail_model.evidence.facts import Fact
from backtrail_model.testcode import TestCode
from backtrail_tracer.slicing import History, Slice
from backtrail_tracer.trace import Failure


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


@frozen
class Rendering:
    """`text` as the model sees it; `facts` are those it may cite; `left_out` counts hits that had no room."""

    text: str
    facts: tuple[Fact, ...] = ()
    left_out: int = 0
    with_outcome: bool = True  # whether the call, expected and actual go before the text
