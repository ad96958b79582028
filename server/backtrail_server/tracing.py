"""The tracer as the server uses it: settings in, runs out."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backtrail_server.settings import LimitSettings, Settings

if TYPE_CHECKING:
    from backtrail_probe.wire import ProcessLimits
    from backtrail_tracer.entries import ConfiguredEntry, Entry, NoEntry
    from backtrail_tracer.interpreter import Interpreter
    from backtrail_tracer.session import Run
    from backtrail_tracer.trace import Item


class TracerTracing:
    def discover(
        self,
        path: Path,
        root: Path,
        configured: Sequence[ConfiguredEntry],
        failed_last: Collection[str],
        text: str,
    ) -> tuple[Entry, ...] | NoEntry:
        from backtrail_tracer import entries

        return entries.discover(path, root, configured=configured, failed_last=failed_last, text=text)

    def choose(self, root: Path, setting: str | None) -> Interpreter:
        from backtrail_tracer import interpreter

        return interpreter.choose(root, setting, os.environ)

    async def describe(self, chosen: Interpreter) -> Interpreter:
        from backtrail_tracer import interpreter

        return await interpreter.describe(chosen)

    async def run(
        self,
        entry: Entry,
        interpreter: Interpreter,
        root: Path,
        settings: Settings,
        on_item: Callable[[Item], None],
    ) -> Run:
        from backtrail_probe.wire import RecordLimits
        from backtrail_tracer.session import Session

        session = Session(interpreter, root, allow=settings.guard.allow, sandbox=settings.sandbox)
        return await session.run(
            entry,
            record_limits=RecordLimits(hits_per_line=settings.trace.hits_per_line),
            process_limits=process_limits(settings.limits),
            postmortem=settings.hover.evaluate,
            on_item=on_item,
        )


def process_limits(limits: LimitSettings) -> ProcessLimits:
    from backtrail_probe.wire import ProcessLimits

    return ProcessLimits(
        wall_s=limits.wall_seconds,
        cpu_s=limits.cpu_seconds,
        memory_bytes=limits.memory_mb * 1024**2,
        output_bytes=limits.output_kb * 1024,
        processes=limits.processes,
    )
