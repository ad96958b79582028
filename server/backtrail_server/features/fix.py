"""Fix: a search for an edit that was run and passes; offered in a message, then kept as a quick fix."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, frozen
from lsprotocol import types

from backtrail_server import consent, convert, keeping, pages, words
from backtrail_server.core import Core, Project
from backtrail_server.editor import Progress
from backtrail_server.features import models
from backtrail_server.features.models import NoModel
from backtrail_server.features.refresh import Refresh
from backtrail_server.jobs import Job
from backtrail_server.offers import Offer
from backtrail_server.results import Shown
from backtrail_server.settings import Settings

if TYPE_CHECKING:
    from backtrail_model.repair import Fix

_APPLY, _DIFF, _LATER = "Apply", "Show diff", "Not now"
_GRACE_S = 30.0  # beyond the budget: starting the verifier, ending it, a host that starts first


@frozen
class Answer:
    """What came of a search, for the command's answer."""

    found: bool
    title: str
    message: str

    def to_wire(self) -> dict[str, object]:
        return {"found": self.found, "title": self.title, "message": self.message}


@frozen
class Broken:
    """Why a model that was asked could not be asked to the end, and what to do about it."""

    reason: str

    def __str__(self) -> str:
        return f"The model could not be asked further: {self.reason.rstrip('.')}."


@define(eq=False)
class Fixing:
    """Starts searches, and applies what they found."""

    core: Core
    refresh: Refresh

    def start(
        self, project: Project, shown: Shown, *, asked: bool, token: str | int | None = None
    ) -> Job[Answer]:
        """Search for a fix of a failure, in the place of an earlier search in this workspace."""
        settings = self.core.loaded(shown_path(shown)).settings
        return self.core.jobs.start(
            ("fix", project.root),
            lambda job: self._search(project, shown, settings, job, asked=asked, token=token),
            owner="the search for a fix",
            deadline_s=settings.fix.budget_seconds + (_GRACE_S if not settings.model.auto_start else 600.0),
        )

    async def _search(
        self,
        project: Project,
        shown: Shown,
        settings: Settings,
        job: Job[Answer],
        *,
        asked: bool,
        token: str | int | None,
    ) -> Answer:
        ran = shown.ran
        title = words.failure_title(shown.failure)
        refused = await consent.obtain(
            self.core,
            project,
            f"{ran.entry.label}, with candidate fixes laid over it",
            ran.interpreter.path,
            self.core.loaded(shown_path(shown)).project_allow,
            asked=asked,
        )
        if refused is not None:
            return Answer(False, title, str(refused))
        cancel = partial(job.cancel, "by you")
        with self.core.editor.progress(f"Searching a fix: {words.cut(title, 60)}", cancel, token) as progress:
            best, without = await self._find(project, shown, settings, progress)
        answer = _answer(best, title, without)
        if best is not None:
            self.core.jobs.start(
                ("offer", project.root), lambda _: self._offer(project, best), owner="offering a fix"
            )
        elif asked:
            self.core.editor.tell(answer.message, "warning" if without else "info")
        return answer

    async def _find(
        self, project: Project, shown: Shown, settings: Settings, progress: Progress
    ) -> tuple[Offer | None, NoModel | Broken | None]:
        """The best fix there is, and why no model was asked, or not to the end."""
        async with models.reached(self.core, settings, progress) as model:
            client, without = (None, model) if isinstance(model, NoModel) else (model, None)
            best: Offer | None = None
            trouble: list[str] = []
            search = self.core.services.assisting.fixes(
                client,
                shown,
                project.root,
                settings,
                on_progress=progress.report,
                on_prompt=partial(setattr, project, "prompt"),
                on_trouble=trouble.append,
            )
            async with aclosing(search) as fixes:
                async for fix in fixes:
                    best = offer_of(shown, fix, best)
                    project.offers.add(best)
                    self.refresh.project(project)
            return best, without or (Broken(trouble[0]) if trouble and best is None else None)

    async def _offer(self, project: Project, offer: Offer) -> None:
        """Ask what to do with a fix. It stays a quick fix whatever the answer."""
        editor = self.core.editor
        if not editor.can_ask:
            editor.tell(f"{offer.title}. It is among the quick fixes of the failing line.")
            return
        verdict = offer.title.removeprefix("Fix: ")
        chosen = await editor.ask(f"Found a fix that {verdict}", [_APPLY, _DIFF, _LATER])
        if chosen == _APPLY:
            await self.apply(project, offer)
        elif chosen == _DIFF:
            await self._show_diff(project, offer)

    async def _show_diff(self, project: Project, offer: Offer) -> None:
        page = await asyncio.to_thread(
            pages.write, self.core.trust.file.parent, project.root, "fix.diff", offer.diff
        )
        if not await self.core.editor.show(page.as_uri()):
            self.core.editor.tell(f"The fix as a diff is in {page}")

    async def apply(self, project: Project, offer: Offer) -> str | None:
        """Have the editor apply a fix. Returns None when done, else why not, which the person is told."""
        refused = self.stale(offer)
        if refused is None:
            refused = await self.core.editor.apply(self.edit(offer), f"Backtrail: {offer.title}")
        if refused is not None:
            self.core.editor.tell(f"The fix was not applied: {refused}", "warning")
        else:
            await self._keep(project, offer)
        return refused

    async def _keep(self, project: Project, offer: Offer) -> None:
        """Keep an applied fix to learn from, where the person said so."""
        ran = next((one for one in project.results.latest() if one.trace.run == offer.run), None)
        (path, before), *others = offer.before.items()
        if not self.core.loaded(path).settings.fix.keep or not offer.passed or others or ran is None:
            return
        shown = Shown(ran, offer.failure, ran.trace.failures[offer.failure])
        data = self.core.services.data
        refused = await asyncio.to_thread(keeping.keep, shown, before, offer.after[path], data)
        if refused is not None:
            self.core.editor.tell(refused, "warning")

    def edit(self, offer: Offer) -> types.WorkspaceEdit:
        """The edit of an offer that is not stale: only the lines that change."""
        editor = self.core.editor
        changes = []
        for path, after in offer.after.items():
            document = self.core.document_of(path)
            if document is not None:
                changes.append((document, convert.text_edits(document.text, after, editor.encoding)))
        return editor.workspace_edit(changes)

    def stale(self, offer: Offer) -> str | None:
        """Why a fix does not fit the text at hand any more, or None when it does."""
        for path, before in offer.before.items():
            document = self.core.document_of(path)
            if document is None or document.text != before:
                return f"{path.name} was changed since the fix was run. Save, and search again if it fails."
        return None


def offer_of(shown: Shown, fix: Fix, before: Offer | None) -> Offer:
    """What an editor offers of a fix. The id says which search it came from and which one it is."""
    number = int(before.id.rsplit("/", 1)[1]) + 1 if before else 1
    path = fix.candidate.path
    return Offer(
        id=f"{shown.ran.trace.run}/{shown.index}/{number}",
        title=f"Fix: {fix.title}",
        run=shown.ran.trace.run,
        failure=shown.index,
        before={path: fix.before.removeprefix("\ufeff")},
        after={path: fix.candidate.text.removeprefix("\ufeff")},
        diff=fix.diff,
        passed=fix.verdict.passed,
        flags=tuple(fix.flags),
        little=fix.little,
    )


def _answer(best: Offer | None, title: str, without: NoModel | Broken | None) -> Answer:
    hint = f" {without}" if without else ""
    if best is not None:
        return Answer(True, best.title, f"{best.title}.{hint}\n{best.diff}")
    where = "without a model" if isinstance(without, NoModel) else "in the time there was"
    return Answer(False, title, f"No fix of “{words.cut(title, 80)}” was found {where}.{hint}")


def shown_path(shown: Shown) -> Path:
    """The file whose settings count for a failure."""
    where = shown.failure.where
    return where.path if where is not None else shown.ran.entry.paths[0]


def find_shown(project: Project, path: Path, index: int) -> Shown | None:
    """Failure `index` of the run that belongs to a file."""
    ran = project.results.of_file(path)
    failures = ran.trace.failures if ran else ()
    return Shown(ran, index, failures[index]) if ran and 0 <= index < len(failures) else None
