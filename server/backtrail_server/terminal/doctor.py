"""`backtrail doctor`: what would be used in a workspace, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from backtrail_server import __version__, config
from backtrail_server.assisting import ModelAssisting
from backtrail_server.roots import project_root
from backtrail_server.settings import Settings
from backtrail_server.terminal.trust import meaning
from backtrail_server.tracing import TracerTracing
from backtrail_server.trust import TrustStore
from backtrail_tracer import bubblewrap
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
    table.add_row("workspace", str(root))
    for problem in loaded.problems:
        table.add_row("settings", problem)
    usable, words = asyncio.run(_interpreter(root, loaded.settings))
    table.add_row("interpreter", words)
    table.add_row("consent", meaning(TrustStore().of(root)))
    table.add_row("guard", "audit hook in the program: stops writes, network and subprocesses")
    table.add_row("sandbox", str(bubblewrap.level(loaded.settings.sandbox)))
    for name, words in asyncio.run(_model(loaded.settings)):
        table.add_row(name, words)
    Console().print(table)
    return 0 if usable else 1


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
        return [("model host", f"{found.reason}. {found.advice}"), *_weights()]
    async with found as client:
        try:
            health = await client.health()
        except HostError as error:
            return [("model host", str(error)), *_weights()]
    device = health.detail.get("device", "an unknown device")
    return [("model host", f"{health.model} on {device}"), *_weights()]


def _weights() -> Iterator[Row]:
    from backtrail_model import weights

    kept = [model for model in weights.list_models() if model.on_disk]
    words = ", ".join(f"{model.alias} ({weights.human(model.on_disk)})" for model in kept)
    yield "weights", words or "none kept here; `backtrail models fetch qwen2.5-coder-1.5b` brings some"
