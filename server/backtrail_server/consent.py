"""Asking the person whether code of a workspace may run."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

from backtrail_server.core import Core, Project
from backtrail_server.results import Note
from backtrail_server.trust import Answer, question

_TITLES: dict[str, Answer] = {
    "Always for this workspace": "always",
    "Only when I ask": "ask",
    "Never": "never",
}


async def obtain(
    core: Core, project: Project, label: str, interpreter: Path, allow: tuple[str, ...], *, asked: bool
) -> Note | None:
    """None when the code may run now, else why it may not.

    `asked` is true when the person asked for this very run. `allow` is what the repository wants beyond
    the guard: an earlier yes that did not name it does not count.
    """
    consent = await asyncio.to_thread(core.trust.of, project.root)
    if consent is None or (consent.answer != "never" and not consent.covers(allow)):
        answer = await _ask(core, project, question(project.root, label, interpreter, allow), allow, asked)
    else:
        answer = consent.answer
    return _refusal(project, answer, asked)


async def _ask(core: Core, project: Project, text: str, allow: tuple[str, ...], asked: bool) -> Answer | None:
    """The answer to one question a workspace, which outlives the save that raised it."""
    if project.declined and not asked:
        return None
    if not core.editor.can_ask:
        project.declined = True
        command = f"backtrail trust {shlex.quote(str(project.root))}"
        core.editor.tell(f"{text} To allow it, run in a terminal: {command}", "warning")
        return None
    key = ("consent", project.root)
    job = core.jobs.running(key)
    if job is None:
        job = core.jobs.start(key, lambda _: _put(core, project, text, allow), owner="asking for consent")
    return await job.result()  # type: ignore[return-value]


async def _put(core: Core, project: Project, text: str, allow: tuple[str, ...]) -> Answer | None:
    title = await core.editor.ask(text, list(_TITLES), "warning")
    answer = _TITLES.get(title or "")
    project.declined = answer is None
    if answer is not None:
        await remember(core, project.root, answer, allow)
    return answer


async def remember(core: Core, root: Path, answer: Answer, allow: tuple[str, ...] = ()) -> None:
    """Keep an answer; when it cannot be kept it holds for this question only, and the person is told."""
    try:
        await asyncio.to_thread(core.trust.remember, root, answer, allow)
    except OSError as error:
        core.editor.tell(
            f"Backtrail: your answer could not be kept in {core.trust.file} ({error}). "
            "Make that folder writable, or name another by the environment variable BACKTRAIL_DATA.",
            "warning",
        )


def _refusal(project: Project, answer: Answer | None, asked: bool) -> Note | None:
    if answer == "always" or (answer == "ask" and asked):
        return None
    if answer == "ask":
        return Note("consent", "Not run: you want to be asked", "Use “Trace again” to run it")
    if answer == "never":
        advice = f"To change that: backtrail trust {shlex.quote(str(project.root))}"
        return Note("consent", f"Not run: you do not allow code of {project.root} to run", advice)
    return Note(
        "consent",
        f"Not run: nobody has allowed code of {project.root} to run",
        f"Use “Trace again” to be asked, or run: backtrail trust {shlex.quote(str(project.root))}",
    )
