"""“Compare with the last good run”: where a failing run first went another way, with the values of both."""

from __future__ import annotations

import asyncio
from typing import Any

from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from backtrail_server import comparing
from backtrail_server.core import Core, Project
from backtrail_server.features.fix import find_shown
from backtrail_server.results import Shown

COMMAND = "backtrail.divergence"
_TITLE = "Compared with the last good run"


def register(server: LanguageServer, core: Core) -> None:
    async def divergence(arguments: list[Any], token: str | int | None) -> dict[str, object]:
        """(uri, failure from 0): {"title", "markdown"}, or {"reason"} when there is nothing to compare."""
        uri, index = [*arguments, None, None][:2]
        document = core.editor.document(uri) if isinstance(uri, str) else None
        if document is None or not isinstance(index, int | None):
            raise JsonRpcInvalidParams(f"{COMMAND} needs the URI of a file and a failure from 0")
        project = core.project(document.path)
        shown = find_shown(project, document.path, index or 0)
        if shown is None:
            return {"reason": f"{document.path.name} has no recorded failure to compare"}
        return await asyncio.to_thread(_compared, project, shown)

    server.command(COMMAND)(divergence)


def _compared(project: Project, shown: Shown) -> dict[str, object]:
    """Reads the disk and goes through both runs, so it belongs into a thread."""
    trace, entry = shown.ran.trace, shown.ran.entry
    good = project.results.last_good(entry.id) or project.kept.last_good(entry.id)
    if good is None:
        return {"reason": f"no good run of {entry.label} is kept to compare with"}
    from backtrail_tracer.divergence import compare

    found = compare(good, trace, shown.failure.item)
    return {"title": _TITLE, "markdown": comparing.markdown(found, good, trace, project.root)}
