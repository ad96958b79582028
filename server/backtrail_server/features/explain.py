"""Explain: what happened, in plain words, from the recorded facts; by a model where there is one."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from backtrail_server import pages, words
from backtrail_server.core import Core, Project
from backtrail_server.editor import Progress
from backtrail_server.features import models
from backtrail_server.features.fix import shown_path
from backtrail_server.features.models import NoModel
from backtrail_server.jobs import Job
from backtrail_server.results import Shown
from backtrail_server.settings import Settings

if TYPE_CHECKING:
    from backtrail_model.evidence import Evidence

_DEADLINE_S = 180.0


@frozen
class Explanation:
    title: str
    markdown: str

    def to_wire(self) -> dict[str, object]:
        return {"title": self.title, "markdown": self.markdown}


def start(core: Core, project: Project, shown: Shown, token: str | int | None) -> Job[Explanation]:
    """Explain a failure, in the place of an earlier explanation in this workspace."""
    settings = core.loaded(shown_path(shown)).settings
    return core.jobs.start(
        ("explain", project.root),
        lambda job: _explain(core, project, shown, settings, job, token=token),
        owner="the explanation",
        deadline_s=_DEADLINE_S,
    )


async def _explain(
    core: Core,
    project: Project,
    shown: Shown,
    settings: Settings,
    job: Job[Explanation],
    *,
    token: str | int | None,
) -> Explanation:
    from backtrail_model.veil import covered  # lines of source are shown, with what stands in them

    title = words.failure_title(shown.failure)
    evidence = await asyncio.to_thread(core.services.assisting.evidence, shown)
    cancel = partial(job.cancel, "by you")
    with core.editor.progress(f"Explaining {words.cut(title, 60)}", cancel, token) as progress:
        text = await _text(core, project, evidence, settings, progress)
    made = Explanation(title, covered(_page(title, text, evidence, shown)))
    await _show(core, project, made)
    return made


async def _text(
    core: Core, project: Project, evidence: Evidence, settings: Settings, progress: Progress
) -> str:
    """The model's explanation as far as the trace bears it out, else the facts in plain words."""
    from backtrail_model.client import HostError

    assisting = core.services.assisting
    summary = assisting.summary(evidence)
    async with models.reached(core, settings, progress) as model:
        if isinstance(model, NoModel):
            return f"{summary}\n\n*This was written without a model. {model}*"
        try:
            told = await assisting.explain(
                model, evidence, settings.fix.seed, lambda text: progress.report(words.cut(text[-80:], 80))
            )
        except HostError as error:
            return f"{summary}\n\n*The model could not be asked: {error}. {error.advice}*"
    project.prompt = told.prompt + _left_out(evidence)
    note = words.claims_words(len(told.dropped), told.guesses)
    return f"{told.text or summary}\n\n*{note}.*" if note else told.text or summary


def _left_out(evidence: Evidence) -> str:
    """For a person who asks what the model saw: what it did not."""
    if not evidence.omitted:
        return ""
    count = evidence.left_out
    from backtrail_model.veil import covered

    return f"\n\n--- not in the prompt: {count} more recorded hits\n{covered(evidence.omitted_text())}"


def _page(title: str, text: str, evidence: Evidence, shown: Shown) -> str:
    facts = evidence.to_text()
    run = f"{words.why_words(shown.ran)}, {words.clock(shown.ran.trace)}, {shown.ran.trace.python}"
    parts = [f"# {title}", text, "## What was recorded", words.code(facts, "text") if facts else "", run]
    return "\n\n".join(part for part in parts if part) + "\n"


async def _show(core: Core, project: Project, made: Explanation) -> None:
    """Open the page where the client can; elsewhere the command's answer is all there is."""
    if not core.editor.can("window.show_document.support"):
        return
    try:
        folder = core.trust.file.parent
        page = await asyncio.to_thread(pages.write, folder, project.root, "explanation.md", made.markdown)
    except OSError as error:
        core.editor.tell(f"The explanation could not be written to a file: {error}", "warning")
        return
    await core.editor.show(page.as_uri())
