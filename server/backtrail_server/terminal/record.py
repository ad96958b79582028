"""`backtrail record`: a running program is recorded for a while, by way of its debugpy, and goes on.

Naming the address is the consent: the program is the person's own and runs already, without a guard.
"""

from __future__ import annotations

import asyncio
import json as json_format
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from backtrail_probe.wire import RecordLimits
from backtrail_server.terminal import document, show
from backtrail_server.terminal.trace import complain
from backtrail_tracer.attach import AttachError, Target, chosen, record
from backtrail_tracer.trace import Trace


def run(
    attach: str, *, seconds: float, files: Sequence[str], hits: int | None, json: bool, root: Path
) -> int:
    """0: something was recorded; 1: nothing of the chosen files ran; 2: it could not be recorded."""
    console = Console(stderr=json)
    try:
        target, paths = Target.parse(attach), chosen(root.resolve(), files)
        if not paths:
            raise ValueError(f"no Python file below {root.resolve()} fits {' '.join(files)}")
        recording = _recorded(console, target, seconds, root=root.resolve(), files=paths, hits=hits)
        trace = asyncio.run(recording)
    except (ValueError, AttachError) as error:
        complain(console, error)
        return 2
    if json:
        print(json_format.dumps(document.of_trace(trace), indent=1))
    else:
        _tell(console, trace, root.resolve(), target, seconds)
    return 0 if trace.hits else 1


async def _recorded(
    console: Console, target: Target, seconds: float, *, root: Path, files: Sequence[Path], hits: int | None
) -> Trace:
    limits = RecordLimits() if hits is None else RecordLimits(hits_per_line=hits, calls_per_function=hits)
    with console.status(f"recording the program at {target} for {seconds:g} s"):
        return await record(target, seconds, root=root, files=files, limits=limits)


def _tell(console: Console, trace: Trace, root: Path, target: Target, seconds: float) -> None:
    head = Text.assemble(("Recorded ", "dim"), (str(target), "bold"), (f" for {seconds:g} s", "dim"), "\n")
    head.append(f"    Python {trace.python} · {trace.recorder} recorder: {trace.reason}", "dim")
    console.print(head)
    for path in sorted(path for path in trace.files if trace.lines(path)):
        console.print()
        console.print(show.relative(path, root), style="bold", markup=False)
        console.print(show.lines(trace, path, lambda path: trace.sources.get(path, "")))
    if not trace.hits:
        console.print("nothing of the chosen files ran in this time", style="yellow")
    if trace.message:
        console.print(trace.message, style="yellow", markup=False)
    for words in show.limits(trace):
        console.print(words)
