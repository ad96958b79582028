"""“Debug this failure”: the program that stands still at its failure is handed to the editor's debugger.

The answer of the command says where a debugger can attach to the very same process, and by which token.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from backtrail_server import runs, words
from backtrail_server.core import Core, Project
from backtrail_server.editor import Document
from backtrail_server.features.commands import finish
from backtrail_server.features.refresh import Refresh
from backtrail_server.results import Note, Shown

if TYPE_CHECKING:
    from backtrail_tracer.postmortem import StoppedProgram

COMMAND = "backtrail.debug"


def register(server: LanguageServer, core: Core, refresh: Refresh) -> None:
    async def debug(arguments: list[Any], token: str | int | None) -> dict[str, object]:
        """(uri): {"ready": true, host, port, token, pid} or {"ready": false, "reason"}. A program that does
        not stand at its failure any more is run again."""
        uri = arguments[0] if arguments else None
        document = core.editor.document(uri) if isinstance(uri, str) else None
        if document is None:
            raise JsonRpcInvalidParams(f"{COMMAND} needs the URI of a file, not {uri!r}")
        project = core.project(document.path)
        if not core.loaded(document.path).settings.hover.evaluate:
            return _refused("hover.evaluate is off, so no failed program is kept to be debugged")
        if not _stands(project, document):
            outcome = await finish(runs.start(core, document, refresh.project, asked=True, token=token))
            if isinstance(outcome, Note):
                return _refused(str(outcome))
        if project.stopped is None or not project.stopped.stands:
            return _refused(f"{document.path.name} does not fail now, or did not come to its failure")
        return await _hand_over(core, project.stopped)

    server.command(COMMAND)(debug)


def _stands(project: Project, document: Document) -> bool:
    """Whether the program that stands still is the one that a run of this file would lead to."""
    ran = project.results.of_file(document.path)
    stopped = project.stopped
    return bool(ran and stopped and stopped.stands and project.stopped_run == ran.trace.run)


def _refused(reason: str) -> dict[str, object]:
    return {"ready": False, "reason": reason}


async def _hand_over(core: Core, stopped: StoppedProgram) -> dict[str, object]:
    from backtrail_tracer.dap import DapError
    from backtrail_tracer.postmortem import KEPT_S

    if stopped.is_claimed:
        return _refused("a debugger is attached to the stopped program already")
    try:
        address = await stopped.hand_over()
    except (DapError, OSError) as error:
        return _refused(f"the stopped program cannot be handed over: {error}")

    def released() -> None:
        words = f"no debugger came for the stopped program within {KEPT_S / 60:g} minutes"
        core.editor.tell(f"Backtrail: {words}, so it was let go. “Debug” runs it again.")

    stopped.on_released = released
    at = {"host": address.host, "port": address.port, "token": address.token}
    return {"ready": True, **at, "pid": stopped.pid}


def is_offered(project: Project, shown: Shown) -> bool:
    """Whether the program stands still at this very failure: the first of its run."""
    stopped = project.stopped
    same = project.stopped_run == shown.ran.trace.run and shown.index == 0
    return bool(stopped and stopped.stands and same)


def actions(
    project: Project, document: Document, shown: Shown, marked: list[types.Diagnostic]
) -> Iterator[types.CodeAction]:
    if is_offered(project, shown):
        title = f"Debug {words.cut(words.failure_title(shown.failure), 60)} where it stopped"
        yield types.CodeAction(
            title=title,
            kind=types.CodeActionKind.QuickFix,
            diagnostics=marked or None,
            command=types.Command(title, COMMAND, arguments=[document.uri]),
        )
