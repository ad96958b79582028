"""On save: run what fits the file, show it, and search for a fix where that is wanted."""

from __future__ import annotations

import asyncio

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from backtrail_server import runs
from backtrail_server.core import Core
from backtrail_server.editor import Document
from backtrail_server.features import inlay_hints, models
from backtrail_server.features.fix import Fixing
from backtrail_server.features.refresh import Refresh
from backtrail_server.jobs import Job
from backtrail_server.results import Note, Ran, Shown
from backtrail_server.settings import Settings


def register(server: LanguageServer, core: Core, refresh: Refresh, fixing: Fixing) -> None:
    @server.feature(types.TEXT_DOCUMENT_DID_SAVE, types.SaveOptions(include_text=False))
    def saved(params: types.DidSaveTextDocumentParams) -> None:
        document = core.editor.document(params.text_document.uri)
        if document is None or document.path.suffix != ".py":
            return
        if core.loaded(document.path).settings.on_save == "off":
            return
        job = runs.start(core, document, refresh.project)
        core.jobs.start(
            ("after", document.path),
            lambda _: _after(core, fixing, document, job),
            owner="what follows a save",
        )

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        """Diagnostics of a file that was not open may be elsewhere in the text the editor holds."""
        document = core.editor.document(params.text_document.uri)
        if document is not None:
            refresh.diagnostics.publish(core.project(document.path))

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        """The file counts again, in the place of the text the editor held."""
        document = core.editor.document(params.text_document.uri)
        if document is not None:
            refresh.diagnostics.publish(core.project(document.path))


async def _after(core: Core, fixing: Fixing, document: Document, job: Job[Ran | Note]) -> None:
    """What a run on save leads to: memory is warmed for the next hover, and a fix is searched."""
    try:
        outcome = await job.result()
    except (asyncio.CancelledError, Exception):
        await job.ended()  # told by whoever owns the run; nothing follows from it
        return
    if isinstance(outcome, Note):
        return
    await asyncio.to_thread(_warm, outcome, document)
    settings = core.loaded(document.path).settings
    if outcome.trace.failures and await _wanted(core, settings):
        shown = Shown(outcome, 0, outcome.trace.failures[0])
        fixing.start(core.project(document.path), shown, asked=False)


async def _wanted(core: Core, settings: Settings) -> bool:
    on_failure = settings.fix.on_failure
    return on_failure == "on" or (on_failure == "auto" and await models.on_gpu(core, settings))


def _warm(ran: Ran, document: Document) -> None:
    """Parse and index what the next hover and hints will ask for, outside the event loop."""
    from backtrail_server import expressions

    for path in ran.trace.files:
        text = ran.text(path)
        if text is not None and (path == document.path or ran.trace.lines(path)):
            expressions.parse(text)
            inlay_hints.assigned(ran, path)
