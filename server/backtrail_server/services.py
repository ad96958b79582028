"""What the server needs of the tracer and the model client, as Protocols, and the real ones.

The real ones import what they use when they are first used: the editor gets its answer to `initialize`
before psutil, debugpy's client or httpx are loaded.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from backtrail_server.settings import Settings

if TYPE_CHECKING:
    from backtrail_model.client import ModelClient, NoHost
    from backtrail_model.evidence import Evidence
    from backtrail_model.repair import Fix
    from backtrail_server.assisting import Explained
    from backtrail_server.results import Shown
    from backtrail_tracer.entries import ConfiguredEntry, Entry, NoEntry
    from backtrail_tracer.interpreter import Interpreter
    from backtrail_tracer.session import Run
    from backtrail_tracer.trace import Item


class Tracing(Protocol):
    """Decides what to run, and runs it."""

    def discover(
        self,
        path: Path,
        root: Path,
        configured: Sequence[ConfiguredEntry],
        failed_last: Collection[str],
        text: str,
    ) -> tuple[Entry, ...] | NoEntry: ...

    def choose(self, root: Path, setting: str | None) -> Interpreter:
        """Raises InterpreterError. Runs nothing."""
        ...

    async def describe(self, interpreter: Interpreter) -> Interpreter:
        """Raises InterpreterError. Runs the interpreter, so only after consent."""
        ...

    async def run(
        self,
        entry: Entry,
        interpreter: Interpreter,
        root: Path,
        settings: Settings,
        on_item: Callable[[Item], None],
    ) -> Run: ...


class Assisting(Protocol):
    """Asks the model, and has its answers run."""

    def connect(self, settings: Settings) -> ModelClient | NoHost: ...

    def evidence(self, shown: Shown) -> Evidence: ...

    def summary(self, evidence: Evidence) -> str: ...

    async def explain(
        self, client: ModelClient, evidence: Evidence, seed: int, on_text: Callable[[str], None]
    ) -> Explained:
        """Raises HostError."""
        ...

    def fixes(
        self,
        client: ModelClient | None,
        shown: Shown,
        root: Path,
        settings: Settings,
        *,
        on_progress: Callable[[str], None],
        on_prompt: Callable[[str], None],
        on_trouble: Callable[[str], None],
    ) -> AsyncGenerator[Fix, None]: ...


@frozen
class Services:
    tracing: Tracing
    assisting: Assisting
    data: Path | None = None  # where consent is kept; None: the user's data folder
    environ: Mapping[str, str] = os.environ


def real() -> Services:
    """The tracer and the model client as they are."""
    from backtrail_server.assisting import ModelAssisting
    from backtrail_server.tracing import TracerTracing

    return Services(TracerTracing(), ModelAssisting())
