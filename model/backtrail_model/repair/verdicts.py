"""What the search needs of a verifier. The tracer's `Verifier` has this shape; fakes are trivial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from backtrail_tracer.trace import Failure, Item


class Verdict(Protocol):
    """What became of one candidate. `passed` is true when every item that was asked for passed."""

    @property
    def items(self) -> Sequence[Item]: ...
    @property
    def status(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def cpu_s(self) -> float: ...
    @property
    def failures(self) -> Sequence[Failure]: ...
    @property
    def passed(self) -> bool: ...
    @property
    def passed_count(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def summary(self) -> str: ...


@runtime_checkable
class Observer(Protocol):
    """Runs a script of ours with texts laid over files; what it has to tell is in its failure."""

    async def observe(
        self, script: str, overlay: Mapping[Path, str], *, wall_s: float, cpu_s: float | None = None
    ) -> Verdict: ...


class Verifier(Protocol):
    """Runs the entry with texts laid over its files; nothing is written to them."""

    async def verify(
        self,
        overlay: Mapping[Path, str],
        items: Sequence[str] = (),
        *,
        wall_s: float,
        cpu_s: float | None = None,
        stop_first: bool = False,
    ) -> Verdict: ...
