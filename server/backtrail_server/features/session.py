"""The end of things: a progress that is cancelled, and the end of the session."""

from __future__ import annotations

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from backtrail_server.core import Core


def register(server: LanguageServer, core: Core) -> None:
    @server.feature(types.WINDOW_WORK_DONE_PROGRESS_CANCEL)
    def cancel(params: types.WorkDoneProgressCancelParams) -> None:
        core.editor.cancel_progress(params.token)

    @server.feature(types.SHUTDOWN)
    async def shutdown(params: None) -> None:
        await core.close()
