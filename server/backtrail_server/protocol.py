"""pygls's protocol with three corrections: what is cancelled stops, what is done is forgotten, and
the text of documents stays out of the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, default_converter, lsp_method

from backtrail_server import __version__

if TYPE_CHECKING:
    from backtrail_server.core import Core

# Below ERROR pygls writes whole messages, and so recorded values and source text, to its log.
logging.getLogger("pygls").setLevel(logging.ERROR)


class Protocol(LanguageServerProtocol):
    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    async def lsp_workspace__execute_command(self, params: types.ExecuteCommandParams) -> Any:  # type: ignore[override]
        """Run a command as one task, so that `$/cancelRequest` cancels it.

        (pygls runs it inside a generator, of which only the outer future is cancelled: the command
        itself would go on.) A command gets the raw arguments and the client's progress token.
        """
        handler = self.fm.commands.get(params.command)
        if handler is None:
            raise JsonRpcInvalidParams.of(ValueError(f"there is no command {params.command!r}"))
        return await handler(params.arguments or [], params.work_done_token)

    def _execute_handler(
        self,
        msg_id: str | int,
        handler: Callable[..., Any],
        callback: Callable[..., None],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Forget the future of a notification that is done: pygls keeps one for every keystroke."""
        super()._execute_handler(msg_id, handler, callback, args, kwargs)
        future = self._request_futures.get(msg_id)
        if future is not None and future.done():
            self._request_futures.pop(msg_id, None)


class Server(LanguageServer):
    """A language server that holds the state of its features.

    Documents are synchronised whole: pygls applies partial changes with `str.splitlines`, which also
    splits at form feeds and U+2028 and would corrupt a document that holds one.
    """

    core: Core

    def __init__(self) -> None:
        super().__init__(
            "backtrail",
            __version__,
            text_document_sync_kind=types.TextDocumentSyncKind.Full,
            protocol_cls=Protocol,
            converter_factory=default_converter,
            # Only the reader of stdin uses pygls's threads.
            max_workers=1,
        )
