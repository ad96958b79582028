"""What the server asks of the editor: messages, questions, progress, edits, refreshes.

A request to the editor is always shielded: cancelling a wait must not cancel pygls's own future, which
raises InvalidStateError when the answer comes after all. What the editor cannot do is not asked of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal

from attrs import define, frozen
from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.lsp.server import LanguageServer

from backtrail_server import convert
from backtrail_server.convert import Encoding

Level = Literal["error", "warning", "info"]
_LEVELS = {
    "error": types.MessageType.Error,
    "warning": types.MessageType.Warning,
    "info": types.MessageType.Info,
}


@frozen
class Document:
    """A text as it was when asked for. Documents are live, so look again after every await."""

    uri: str
    path: Path
    text: str
    version: int | None  # None: not open in the editor, read from disk


@define
class Progress:
    """A work-done progress. It begins when the editor has agreed, and the work does not wait for that."""

    _send: Callable[[object], None]
    _title: str
    _begun: bool = False
    _over: bool = False
    _message: str | None = None

    def report(self, message: str) -> None:
        self._message = message
        if self._begun and not self._over:
            self._send(types.WorkDoneProgressReport(message=message, cancellable=True))

    def begin(self) -> None:
        if not self._over:
            self._begun = True
            self._send(types.WorkDoneProgressBegin(self._title, cancellable=True, message=self._message))

    def end(self, message: str | None = None) -> None:
        if self._begun and not self._over:
            self._send(types.WorkDoneProgressEnd(message=message or self._message))
        self._over = True


class Editor:
    def __init__(self, server: LanguageServer) -> None:
        self._server = server
        self._numbers = itertools.count(1)
        self._cancels: dict[types.ProgressToken, Callable[[], None]] = {}

    def can(self, capability: str) -> bool:
        """Whether the client has a capability, named by its dotted path."""
        return bool(get_capability(self._server.client_capabilities, capability, False))

    def capability(self, path: str) -> Any:
        """The value of a capability, or None."""
        return get_capability(self._server.client_capabilities, path, None)

    @property
    def encoding(self) -> Encoding:
        return convert.encoding_of(self._server.workspace.position_encoding)

    def folders(self) -> list[Path]:
        """The workspace folders, or the one root of older clients."""
        workspace = self._server.workspace
        uris = [folder.uri for folder in workspace.folders.values()] or [workspace.root_uri]
        return [path for uri in uris if uri and (path := convert.path_of(uri)) is not None]

    def document(self, uri: str) -> Document | None:
        """The open document, else the file; None when there is neither or it is not a file."""
        path = convert.path_of(uri)
        if path is None:
            return None
        opened = self._server.workspace.text_documents.get(_key(uri))
        if opened is not None:
            return Document(opened.uri, path, opened.source, opened.version)
        try:
            return Document(uri, path, path.read_text(encoding="utf-8"), None)
        except (OSError, UnicodeDecodeError):
            return None

    def opened(self) -> list[Document]:
        """All open documents that are files."""
        uris = [document.uri for document in self._server.workspace.text_documents.values()]
        return [found for uri in uris if (found := self.document(uri)) is not None]

    def tell(self, message: str, level: Level = "info") -> None:
        self._server.window_show_message(types.ShowMessageParams(_LEVELS[level], message))

    async def ask(self, message: str, answers: Sequence[str], level: Level = "info") -> str | None:
        """The answer's title, or None: dismissed, or the client cannot ask (see `can_ask`)."""
        actions = [types.MessageActionItem(title) for title in answers]
        params = types.ShowMessageRequestParams(_LEVELS[level], message, actions)
        chosen = await self._request(types.WINDOW_SHOW_MESSAGE_REQUEST, params)
        return getattr(chosen, "title", None)

    @property
    def can_ask(self) -> bool:
        return self.can("window.show_message")

    async def show(self, uri: str) -> bool:
        """Open a document in the editor. False when it cannot or did not."""
        if not self.can("window.show_document.support"):
            return False
        params = types.ShowDocumentParams(uri, take_focus=True)
        shown = await self._request(types.WINDOW_SHOW_DOCUMENT, params)
        return bool(getattr(shown, "success", False))

    async def apply(self, edit: types.WorkspaceEdit, label: str) -> str | None:
        """Have an edit applied. Returns None when done, else why not."""
        if not self.can("workspace.apply_edit"):
            return "this editor applies no edits that a server asks for"
        params = types.ApplyWorkspaceEditParams(edit, label)
        answer = await self._request(types.WORKSPACE_APPLY_EDIT, params)
        if getattr(answer, "applied", False):
            return None
        return getattr(answer, "failure_reason", None) or "the editor did not apply the edit"

    def workspace_edit(self, changes: Sequence[tuple[Document, list[types.TextEdit]]]) -> types.WorkspaceEdit:
        """Edits of documents, bound to the versions they were made for where the client can."""
        # Neovim only declares resource operations, which are in documentChanges alone.
        edit = "workspace.workspace_edit"
        if not (self.can(f"{edit}.document_changes") or self.can(f"{edit}.resource_operations")):
            return types.WorkspaceEdit(changes={document.uri: edits for document, edits in changes})
        bound = []
        for document, edits in changes:
            which = types.OptionalVersionedTextDocumentIdentifier(document.uri, document.version)
            bound.append(types.TextDocumentEdit(which, list(edits)))
        return types.WorkspaceEdit(document_changes=bound)

    async def configuration(self) -> object:
        """The client's section `backtrail`, or None when it cannot be asked."""
        if not self.can("workspace.configuration"):
            return None
        params = types.ConfigurationParams([types.ConfigurationItem(section="backtrail")])
        answer = await self._request(types.WORKSPACE_CONFIGURATION, params)
        return answer[0] if answer else None

    def refresh(self) -> None:
        """Have hints and lenses asked for again."""
        for method, capability in (
            (types.WORKSPACE_INLAY_HINT_REFRESH, "workspace.inlay_hint.refresh_support"),
            (types.WORKSPACE_CODE_LENS_REFRESH, "workspace.code_lens.refresh_support"),
        ):
            if self.can(capability):
                _ignore(self._server.protocol.send_request(method, None))

    @contextlib.contextmanager
    def progress(
        self, title: str, cancel: Callable[[], None], token: types.ProgressToken | None = None
    ) -> Iterator[Progress]:
        """Progress with a cancel. `token` is the client's own, when it gave one with its request."""
        mine = token if token is not None else f"backtrail/{next(self._numbers)}"
        progress = Progress(lambda value: self._notify(mine, value), title)
        self._cancels[mine] = cancel
        if token is not None:
            progress.begin()
        elif self.can("window.work_done_progress"):
            params = types.WorkDoneProgressCreateParams(mine)
            created = self._server.protocol.send_request(types.WINDOW_WORK_DONE_PROGRESS_CREATE, params)
            created.add_done_callback(lambda done: progress.begin() if _good(done) else None)
        try:
            yield progress
        finally:
            progress.end()
            self._cancels.pop(mine, None)

    def cancel_progress(self, token: types.ProgressToken) -> None:
        """The person pressed cancel. A token that is over is no longer known."""
        if cancel := self._cancels.get(token):
            cancel()

    def _notify(self, token: types.ProgressToken, value: object) -> None:
        self._server.protocol.notify(types.PROGRESS, types.ProgressParams(token, value))

    async def _request(self, method: str, params: object) -> Any:
        """Raises nothing: an editor that answers with an error has answered None."""
        answer = self._server.protocol.send_request_async(method, params)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(_seen)
            raise
        except Exception:
            return None


def _good(done: Future[Any]) -> bool:
    return not done.cancelled() and done.exception() is None


def _ignore(future: Future[Any]) -> None:
    future.add_done_callback(_good)


def _seen(answer: asyncio.Future[Any]) -> None:
    """Take the result of an answer nobody waits for, so that asyncio does not complain of it."""
    if not answer.cancelled():
        answer.exception()


def _key(uri: str) -> str:
    from urllib.parse import unquote

    return unquote(uri)
