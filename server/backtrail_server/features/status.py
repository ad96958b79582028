"""Status: which interpreter, entry, host and guard are in use, and why; how the last runs went."""

from __future__ import annotations

import asyncio
from pathlib import Path

from backtrail_server import words
from backtrail_server.core import Core, Project
from backtrail_server.features import models
from backtrail_server.features.models import NoModel
from backtrail_server.settings import Settings

_ANSWERS = {
    "always": "its code may run on save",
    "ask": "its code runs only when you ask",
    "never": "its code never runs",
    None: "not asked yet: nothing runs",
}


async def markdown(core: Core) -> str:
    """Everything about every project that was touched, for a person."""
    projects = core.projects() or [core.project(folder / "_") for folder in core.editor.folders()]
    parts = [await _project(core, project) for project in projects]
    return "# Backtrail\n\n" + ("\n\n".join(parts) or "No Python file has been opened yet.") + "\n"


async def _project(core: Core, project: Project) -> str:
    settings = core.loaded(project.root / "_").settings
    answer = await asyncio.to_thread(core.trust.answer, project.root)
    rows = [
        f"## {project.root}",
        f"* consent: {_ANSWERS[answer]}",
        f"* interpreter: {_interpreter(core, project.root, settings)}",
        f"* guard: {_guard(settings)}",
        f"* sandbox: {await asyncio.to_thread(_sandbox, settings)}",
        f"* model host: {await _host(core, settings)}",
        *_runs(project),
        *(f"* {words.relative(path, project.root)}: {note}" for path, note in project.results.notes.items()),
    ]
    if project.stopped is not None and project.stopped.is_alive:
        rows.append("* a failed program stands still, so that hover can ask it")
    return "\n".join(rows)


def _interpreter(core: Core, root: Path, settings: Settings) -> str:
    from backtrail_tracer.interpreter import InterpreterError

    try:
        chosen = core.services.tracing.choose(root, settings.python)
    except InterpreterError as error:
        return f"none ({error}). {error.advice}"
    return f"`{chosen.path}` ({chosen.reason})"


def _guard(settings: Settings) -> str:
    stops = "stops network, subprocesses, and writes outside the scratch folder"
    return stops + (f"; allowed: {', '.join(settings.guard.allow)}" if settings.guard.allow else "")


def _sandbox(settings: Settings) -> str:
    from backtrail_tracer import bubblewrap

    return str(bubblewrap.level(settings.sandbox))


async def _host(core: Core, settings: Settings) -> str:
    said = await models.health(core, settings)
    if isinstance(said, NoModel):
        return str(said)
    device = said.detail.get("device")
    return f"{said.model}{f' on {device}' if device else ''}"


def _runs(project: Project) -> list[str]:
    rows = []
    for ran in project.results.latest():
        trace = ran.trace
        row = f"* {words.clock(trace)} {words.why_words(ran)}: {words.outcome_words(trace)}"
        recorder = f"Python {trace.python}, recorder {trace.recorder} ({trace.reason})"
        limits = f"; {'; '.join(trace.limits)}" if trace.limits else ""
        ending = words.ending_words(trace)
        again = f"; {trace.again}" if trace.again else ""
        rows.append(f"{row}; {recorder}{limits}{again}{f'; {ending}' if ending else ''}")
    return rows
