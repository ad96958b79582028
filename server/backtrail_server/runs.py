"""From a saved file to a run and its results: syntax, entry, consent, interpreter, run, texts.

A run uses what is on disk: other documents with unsaved changes run as they were last saved, because
that is what the person would get in a terminal.
"""

from __future__ import annotations

import ast
import asyncio
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from backtrail_server import consent
from backtrail_server.core import Core, Project
from backtrail_server.editor import Document, Progress
from backtrail_server.jobs import Job
from backtrail_server.results import Note, Ran
from backtrail_server.settings import Settings
from backtrail_server.words import count_words

if TYPE_CHECKING:
    from backtrail_tracer.entries import Entry
    from backtrail_tracer.interpreter import Interpreter
    from backtrail_tracer.trace import Item

DEBOUNCE_S = 0.05
_GRACE_S = 20.0  # beyond the run's own limit: interpreter start, reading the log


def start(
    core: Core,
    document: Document,
    changed: Callable[[Project], None],
    *,
    asked: bool = False,
    token: str | int | None = None,
) -> Job[Ran | Note]:
    """Run what fits a file, in the place of an earlier run for it. `changed` is called when there is
    something new to show. The job's result is the run, or why there was none."""

    project = core.project(document.path)

    async def work(job: Job[Ran | Note]) -> Ran | Note:
        try:
            outcome = await _Request(core, project, document, job, asked, token, changed).trace()
        except asyncio.CancelledError:
            project.results.notes[document.path] = Note("cancelled", f"The run was cancelled: {job.reason}")
            changed(project)
            raise
        if isinstance(outcome, Note):
            project.results.notes[document.path] = outcome
        else:
            project.results.notes.pop(document.path, None)
            _keep(core, project, outcome, changed)
        changed(project)
        return outcome

    key = ("run", document.path)
    return core.jobs.start(key, work, owner="running your code", debounce_s=0.0 if asked else DEBOUNCE_S)


def _keep(core: Core, project: Project, ran: Ran, changed: Callable[[Project], None]) -> None:
    """Keep a run and find what a failing one differs in, after its results are shown."""
    good = project.results.last_good(ran.entry.id)

    async def work(_: Job[None]) -> None:
        found = await asyncio.to_thread(project.kept.divergences, ran.trace, good)
        if project.results.put_divergences(ran, found):
            changed(project)
        await asyncio.to_thread(project.kept.keep, ran.trace)

    core.jobs.start(("keep", ran.trace.run), work, owner="keeping the run")


@frozen
class _Request:
    """One run that was asked for, by a save or by the person (`asked`)."""

    core: Core
    project: Project
    document: Document
    job: Job[Ran | Note]
    asked: bool
    token: str | int | None
    changed: Callable[[Project], None]

    async def trace(self) -> Ran | Note:
        core, project, loaded = self.core, self.project, self.core.loaded(self.document.path)
        found = await self._plan(loaded.settings)
        if isinstance(found, Note):
            return found
        entry, chosen = found
        refused = await consent.obtain(
            core, project, entry.label, chosen.path, loaded.project_allow, asked=self.asked
        )
        if refused is not None:
            return refused
        limit = 2 * (loaded.settings.limits.wall_seconds + _GRACE_S)  # for two passes
        title, cancel = f"Tracing {entry.label}", partial(self.job.cancel, "by you")
        async with core.jobs.place(project.root), asyncio.timeout(limit):
            await project.keep_stopped(None, "")
            with core.editor.progress(title, cancel, self.token) as progress:
                return await self._run(entry, chosen, loaded.settings, progress)

    async def _plan(self, settings: Settings) -> tuple[Entry, Interpreter] | Note:
        """What to run with what. Runs nothing."""
        from backtrail_tracer.entries import NoEntry
        from backtrail_tracer.interpreter import InterpreterError

        wrong = await asyncio.to_thread(syntax_error, self.document.text)
        if wrong is not None:
            return wrong
        tracing, root = self.core.services.tracing, self.project.root
        failed = self.project.results.failed_last(root)
        found = await asyncio.to_thread(
            tracing.discover, self.document.path, root, settings.entries, failed, self.document.text
        )
        if isinstance(found, NoEntry):
            return Note("no entry", f"Nothing runs this file: {found.reason}", found.advice)
        try:
            return found[0], tracing.choose(root, settings.python)
        except InterpreterError as error:
            return Note("failed", str(error), error.advice)

    async def _run(
        self, entry: Entry, chosen: Interpreter, settings: Settings, progress: Progress
    ) -> Ran | Note:
        from backtrail_tracer.interpreter import InterpreterError

        tracing, project, counts = self.core.services.tracing, self.project, Counter[str]()

        def on_item(item: Item) -> None:
            counts[item.outcome or "stopped"] += 1
            progress.report(f"{count_words(counts)} · {item.name}")

        try:
            interpreter = await tracing.describe(chosen)
        except InterpreterError as error:
            return Note("failed", str(error), error.advice)
        run = await tracing.run(entry, interpreter, project.root, settings, on_item)
        await project.keep_stopped(run.stopped, run.trace.run)
        before = project.results.of_entry(entry.id)
        if before is not None:
            project.offers.drop_run(before.trace.run)
        ran = project.results.put(run.trace, entry, interpreter)
        if run.again is not None:
            self.changed(project)  # the failure is known, and need not wait for its last hits
            progress.report("once more, for the last hits before the failure")
            ran = project.results.put(await run.again(), entry, interpreter)
        progress.report(count_words(counts) or run.trace.status)
        return ran


def syntax_error(text: str) -> Note | None:
    """Why a text cannot run at all, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        line = error.lineno or 1
        return Note("syntax", f"Not run: {error.msg} in line {line}", "Correct it and save again", line)
    except (ValueError, RecursionError, MemoryError) as error:
        return Note("syntax", f"Not run: Python cannot read this file ({error})", "Correct it and save again")
    return None
