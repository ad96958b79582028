"""Code actions "Allow … for this workspace" where the guard stopped a run, and the command behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from backtrail_server import allowing, runs
from backtrail_server.allowing import Allowance
from backtrail_server.core import Core, Project
from backtrail_server.editor import Document
from backtrail_server.features.refresh import Refresh
from backtrail_server.results import Ran, View, same_file

COMMAND = "backtrail.allow"


def register(server: LanguageServer, core: Core, refresh: Refresh) -> None:
    async def allow(arguments: list[Any], token: str | int | None) -> dict[str, object]:
        """(uri, allowance): keeps it for the workspace of the file, and runs the file again."""
        uri, text = [*arguments, None, None][:2]
        document = core.editor.document(uri) if isinstance(uri, str) else None
        if document is None or not isinstance(text, str) or not allowing.is_allowance(text):
            raise JsonRpcInvalidParams(f"{COMMAND} needs the URI of a file and what to allow, not {text!r}")
        project = core.project(document.path)
        try:
            await asyncio.to_thread(core.trust.allow, project.root, text)
        except OSError as error:
            core.editor.tell(f"Backtrail: it could not be kept in {core.trust.file} ({error}).", "warning")
            return {"allowed": False, "reason": str(error)}
        runs.start(core, document, refresh.project, asked=True, token=token)
        return {"allowed": True, "reason": f"kept in {core.trust.file}"}

    server.command(COMMAND)(allow)


def actions(
    core: Core, project: Project, document: Document, rows: range, marked: list[types.Diagnostic]
) -> Iterator[types.CodeAction]:
    """One for each allowance that would have let something pass that was stopped at these rows."""
    for allowance in _wanted(core, project, document, rows):
        arguments: list[object] = [document.uri, allowance.text]
        yield types.CodeAction(
            title=allowance.title,
            kind=types.CodeActionKind.QuickFix,
            diagnostics=marked or None,
            command=types.Command(allowance.title, COMMAND, arguments=arguments),
        )


def _wanted(core: Core, project: Project, document: Document, rows: range) -> list[Allowance]:
    given = core.loaded(document.path).settings.guard.allow
    found: dict[str, Allowance] = {}
    for ran in project.results.latest():
        for effect in ran.trace.side_effects:
            at = (effect.path, effect.line) if effect.path is not None else None
            if not effect.allowed and _row(ran, document, at) in rows:
                for allowance in allowing.allowances(effect, project.root):
                    found.setdefault(allowance.text, allowance)
    return [allowance for text, allowance in found.items() if text not in given]


def _row(ran: Ran, document: Document, at: tuple[Any, int] | None) -> int | None:
    """The line that a place of the run is at now, in this document; None when it is not in it."""
    text = ran.text(document.path)
    if at is None or text is None or not same_file(at[0], document.path):
        return None
    return View(ran, document.path, text, document.text).lines.now(at[1])
