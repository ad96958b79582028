"""`backtrail doctor`: what would be used in a workspace, and why."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from backtrail_server import __version__, config
from backtrail_server.assisting import ModelAssisting
from backtrail_server.roots import project_root
from backtrail_server.settings import Settings
from backtrail_server.terminal.place import consented
from backtrail_server.terminal.trust import meaning
from backtrail_server.tracing import TracerTracing
from backtrail_server.trust import TrustStore
from backtrail_tracer import bubblewrap
from backtrail_tracer.bubblewrap import NotAvailable
from backtrail_tracer.interpreter import InterpreterError

Row = tuple[str, str]


def run(path: Path) -> int:
    """0 when a program could be run here, 1 when not. Of code, only the interpreter's version is run."""
    root = project_root(path.resolve())
    loaded = config.load_project(root, root)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("backtrail", __version__)
    table.add_row("workspace", Text(str(root)))
    settings, refused = consented(root, loaded)
    for problem in (*loaded.problems, *refused):
        table.add_row("settings", Text(problem))
    usable, words = asyncio.run(_interpreter(root, settings))
    table.add_row("interpreter", Text(words))
    table.add_row("consent", meaning(TrustStore().of(root)))
    for name, words in safety(settings):
        table.add_row(name, Text(words))
    for name, words in asyncio.run(_model(settings)):
        table.add_row(name, Text(words))
    Console().print(table)
    return 0 if usable else 1


def safety(settings: Settings) -> Iterator[Row]:
    """What stands between a run and the rest of the machine: which level is in force, and why."""
    level = bubblewrap.level(settings.sandbox)
    if isinstance(level, NotAvailable):
        yield "safety", str(level)
        yield "sandbox", f"none: {level.reason}"
    else:
        yield "safety", "sandbox; the guard in it says what was stopped, and where"
        yield "sandbox", f"{level} but the scratch folder ({level.path})"
    allow = settings.guard.allow
    stops = "audit hook in the program: stops network, subprocesses, writes outside temporary files"
    yield "guard", stops + (f"; allowed: {', '.join(allow)}" if allow else "")
    yield "limits", _limits(settings)
    yield "if the server is killed", _after_us(level)


def _limits(settings: Settings) -> str:
    limits = settings.limits
    words = (
        f"{limits.wall_seconds:g} s, {limits.cpu_seconds:g} s of CPU, {limits.memory_mb} MB, "
        f"{limits.processes} processes, {limits.output_kb} KB of output"
    )
    if sys.platform == "win32":
        return f"{words}; processes and memory kept by a Job Object, all of them watched from outside"
    return f"{words}; CPU and the size of files kept by the kernel, all of them watched from outside"


def _after_us(level: bubblewrap.Bubblewrap | NotAvailable) -> str:
    if not isinstance(level, NotAvailable):
        return "the sandbox ends, and all that runs in it"
    if sys.platform == "win32":
        return "the Job Object closes and ends the program with its children"
    return "a waiting process ends the program with its children, by process group and by mark"


async def _interpreter(root: Path, settings: Settings) -> tuple[bool, str]:
    tracing = TracerTracing()
    try:
        chosen = await tracing.describe(tracing.choose(root, settings.python))
    except InterpreterError as error:
        return False, f"{error} {error.advice}"
    version = ".".join(map(str, chosen.version)) if chosen.version else "of an unknown version"
    recorder = "sys.monitoring" if chosen.version and chosen.version >= (3, 12) else "sys.settrace"
    return True, f"Python {version}, {chosen.path} ({chosen.reason}); recorded by {recorder}"


async def _model(settings: Settings) -> list[Row]:
    from backtrail_model.client import NoHost
    from backtrail_model.errors import HostError

    found = ModelAssisting().connect(settings)
    if isinstance(found, NoHost):
        return [("model host", f"{found.reason}; {found.advice}"), *_weights()]
    async with found as client:
        try:
            health = await client.health()
        except HostError as error:
            return [("model host", str(error)), *_weights()]
    device, why = (health.detail.get(key) for key in ("device", "reason"))
    reason = f" ({why})" if why else ""
    return [("model host", f"{health.model} on {device or 'an unknown device'}{reason}"), *_weights()]


def _weights() -> Iterator[Row]:
    from backtrail_model import weights

    kept = [model for model in weights.list_models() if model.on_disk]
    words = ", ".join(f"{model.alias} ({weights.human(model.on_disk)})" for model in kept)
    yield "weights", words or "none kept here; `backtrail models fetch qwen2.5-coder-1.5b` brings some"
