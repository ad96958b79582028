"""A language client that behaves as an editor does: documents, answers to questions, applied edits.

It speaks to a real server process and has the recorded capabilities of a real editor.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest_lsp
from lsprotocol import types
from pytest_lsp import LanguageClient
from pytest_lsp.checks import LspSpecificationWarning
from pytest_lsp.client import make_test_lsp_client

from backtrail_server import convert
from tests.server import reference

VSCODE, NEOVIM = "visual-studio-code", "neovim"
WAIT_S = 60.0
PATIENT = {"wallSeconds": 60, "cpuSeconds": 60}  # a loaded machine is no failure

ALWAYS, ONLY_ASKED, NEVER = "Always for this workspace", "Only when I ask", "Never"


class Editor:
    """`answers` maps a pattern of a question to the title that is chosen; None dismisses it."""

    def __init__(self, client: LanguageClient, name: str, root: Path) -> None:
        self.client, self.name, self.root = client, name, root
        self.encoding: convert.Encoding = "utf-16"  # until something else is negotiated
        self.answers: dict[str, str | None] = {}
        self.questions: list[types.ShowMessageRequestParams] = []
        self.texts: dict[str, str] = {}
        self.versions: dict[str, int] = {}
        self.published: list[types.PublishDiagnosticsParams] = []
        self.refreshed: list[str] = []
        self.connected = True
        self._changed = asyncio.Event()
        self._listen()

    def _listen(self) -> None:
        client = self.client

        @client.feature(types.WINDOW_SHOW_MESSAGE_REQUEST)
        def question(params: types.ShowMessageRequestParams) -> types.MessageActionItem | None:
            self.questions.append(params)
            self._notice()
            for pattern, title in self.answers.items():
                if re.search(pattern, params.message):
                    return types.MessageActionItem(title) if title else None
            return None

        @client.feature(types.WORKSPACE_APPLY_EDIT)
        def apply(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
            self.apply(params.edit)
            self._notice()
            return types.ApplyWorkspaceEditResult(applied=True)

        @client.feature(types.CLIENT_REGISTER_CAPABILITY)
        def registered(params: types.RegistrationParams) -> None:
            return None

        for method in (types.WORKSPACE_INLAY_HINT_REFRESH, types.WORKSPACE_CODE_LENS_REFRESH):
            client.feature(method)(self._refresher(method))

        publish = client.protocol.fm.features[types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS]
        show = client.protocol.fm.features[types.WINDOW_SHOW_MESSAGE]
        progress = client.protocol.fm.features[types.PROGRESS]
        for method, handler in (
            (types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, publish),
            (types.WINDOW_SHOW_MESSAGE, show),
            (types.PROGRESS, progress),
        ):
            client.protocol.fm.features[method] = self._also(handler)

    def _refresher(self, method: str) -> Callable[[None], None]:
        def refresh(_: None) -> None:
            self.refreshed.append(method)
            self._notice()

        return refresh

    def _also(self, handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def both(params: Any) -> Any:
            if isinstance(params, types.PublishDiagnosticsParams):
                self.published.append(params)
            result = handler(params)
            self._notice()
            return result

        return both

    def _notice(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, true: Callable[[], Any], what: str, wait_s: float = WAIT_S) -> Any:
        """Wait until something holds; it is looked at after every message of the server."""
        try:
            async with asyncio.timeout(wait_s):
                while not (result := true()):
                    try:
                        await asyncio.wait_for(self._changed.wait(), 0.2)
                    except TimeoutError:
                        continue
        except TimeoutError:
            said = [message.message for message in self.client.messages]
            seen = (
                f"messages: {said}; diagnostics: {self.client.diagnostics}; lenses: {await self.all_titles()}"
            )
            raise AssertionError(f"never: {what}; {seen}") from None
        return result

    # Documents.

    def uri(self, name: str) -> str:
        return (self.root / name).as_uri()

    def open(self, name: str) -> str:
        uri = self.uri(name)
        self.texts[uri], self.versions[uri] = (self.root / name).read_text(encoding="utf-8"), 1
        item = types.TextDocumentItem(uri, "python", 1, self.texts[uri])
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return uri

    def change(self, name: str, text: str) -> None:
        uri = self.uri(name)
        self.texts[uri], self.versions[uri] = text, self.versions[uri] + 1
        which = types.VersionedTextDocumentIdentifier(self.versions[uri], uri)
        whole = types.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(which, [whole]))

    def save(self, name: str) -> None:
        uri = self.uri(name)
        (self.root / name).write_bytes(self.texts[uri].encode("utf-8"))
        which = types.TextDocumentIdentifier(uri)
        self.client.text_document_did_save(types.DidSaveTextDocumentParams(which))

    def write(self, name: str, text: str) -> None:
        """Change and save."""
        self.change(name, text)
        self.save(name)

    def apply(self, edit: types.WorkspaceEdit) -> None:
        for change in edit.document_changes or []:
            assert isinstance(change, types.TextDocumentEdit)
            uri, version = change.text_document.uri, change.text_document.version
            assert version in (None, self.versions.get(uri)), "an edit for another version was sent"
            self._edited(uri, list(change.edits))
        for uri, edits in (edit.changes or {}).items():
            self._edited(uri, list(edits))

    def _edited(self, uri: str, edits: list[Any]) -> None:
        path = convert.path_of(uri)
        assert path is not None
        text = self.texts.get(uri) or path.read_text(encoding="utf-8")
        self.change(path.relative_to(self.root).as_posix(), reference.apply(text, edits, self.encoding))

    # What an editor asks.

    def diagnostics(self, name: str) -> list[types.Diagnostic]:
        return list(self.client.diagnostics.get(self.uri(name), []))

    async def failure(self, name: str) -> types.Diagnostic:
        """The first diagnostic of a file, once there is one."""
        found: list[types.Diagnostic] = await self.until(
            lambda: self.diagnostics(name), f"a diagnostic in {name}"
        )
        return found[0]

    async def clean(self, name: str) -> None:
        def cleared() -> bool:
            told = [params for params in self.published if params.uri == self.uri(name)]
            return bool(told) and not told[-1].diagnostics

        await self.until(cleared, f"no diagnostics in {name}")

    async def clean_or_never(self, name: str) -> None:
        """Nothing is said of a file, now that something was said of another."""
        assert self.diagnostics(name) == []

    def place(self, name: str, marked: str) -> types.Position:
        """The place of the `^` in a piece of text that is there once: "tot^al = 1"."""
        text = self.texts[self.uri(name)]
        start = text.index(marked.replace("^", ""))
        before = text[: start + marked.index("^")]
        row = before.count("\n")
        return types.Position(row, convert.units(before.rsplit("\n", 1)[-1], self.encoding))

    async def hover(self, name: str, marked: str) -> str | None:
        where = types.TextDocumentIdentifier(self.uri(name))
        params = types.HoverParams(where, self.place(name, marked))
        answer = await self.client.text_document_hover_async(params)
        if answer is None:
            return None
        assert isinstance(answer.contents, types.MarkupContent)
        return answer.contents.value

    async def hints(self, name: str) -> dict[int, str]:
        """Line (from 1) -> label."""
        text = self.texts[self.uri(name)]
        whole = types.Range(types.Position(0, 0), types.Position(text.count("\n") + 1, 0))
        where = types.TextDocumentIdentifier(self.uri(name))
        answer = await self.client.text_document_inlay_hint_async(types.InlayHintParams(where, whole))
        return {hint.position.line + 1: str(hint.label) for hint in answer or []}

    async def lenses(self, name: str) -> list[types.CodeLens]:
        where = types.TextDocumentIdentifier(self.uri(name))
        return list(await self.client.text_document_code_lens_async(types.CodeLensParams(where)) or [])

    async def titles(self, name: str) -> list[str]:
        return [lens.command.title for lens in await self.lenses(name) if lens.command]

    async def all_titles(self) -> dict[str, list[str]]:
        """The lenses of every open document, for the message of a test that failed."""
        names = [Path(uri).name for uri in self.texts]
        return {name: await asyncio.wait_for(self.titles(name), 5) for name in names}

    async def lens_saying(self, name: str, pattern: str) -> str:
        """The title of the lens that matches, once there is one."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for title in await self.titles(name):
                    if re.search(pattern, title):
                        return title
                await asyncio.sleep(0.1)

    async def actions(self, name: str, diagnostic: types.Diagnostic) -> list[types.CodeAction]:
        where = types.TextDocumentIdentifier(self.uri(name))
        context = types.CodeActionContext([diagnostic])
        params = types.CodeActionParams(where, diagnostic.range, context)
        answer = await self.client.text_document_code_action_async(params)
        # lsprotocol takes every code action with a command for a bare command; only the title survives.
        return [
            action if isinstance(action, types.CodeAction) else types.CodeAction(action.title)
            for action in answer or []
        ]

    async def command(self, name: str, *arguments: Any, token: str | None = None) -> dict[str, Any]:
        params = types.ExecuteCommandParams(name, list(arguments), token)
        return as_dict(await self.client.workspace_execute_command_async(params))

    async def said(self, pattern: str) -> str:
        """The text of the shown message that matches, once there is one."""

        def found() -> str | None:
            texts = (message.message for message in self.client.messages)
            return next((text for text in texts if re.search(pattern, text)), None)

        return str(await self.until(found, f"a message like {pattern!r}"))

    def vanish(self) -> None:
        """Go away without a word, as an editor that was killed."""
        assert self.client._server is not None and self.client._server.stdin is not None
        self.connected = False
        self.client._server.stdin.close()

    @property
    def process(self) -> psutil.Process:
        assert self.client._server is not None
        return psutil.Process(self.client._server.pid)

    def children(self) -> list[psutil.Process]:
        return self.process.children(recursive=True)


def as_dict(answer: Any) -> dict[str, Any]:
    """pygls hands untyped objects out as named tuples."""
    return answer._asdict() if hasattr(answer, "_asdict") else dict(answer or {})


@asynccontextmanager
async def editing(
    root: Path,
    data: Path,
    *,
    name: str = VSCODE,
    options: dict[str, Any] | None = None,
    answers: dict[str, str | None] | None = None,
    capabilities: types.ClientCapabilities | None = None,
    env: dict[str, str] | None = None,
    command: Sequence[str] = ("-m", "backtrail_server"),
) -> AsyncIterator[Editor]:
    """An editor with a server of its own; ended by shutdown and exit, as editors do."""
    options = {**(options or {}), "limits": PATIENT | (options or {}).get("limits", {})}
    client = make_test_lsp_client()
    editor = Editor(client, name, root)
    editor.answers = {"would like to run": ALWAYS} if answers is None else answers
    client.set_configuration({"backtrail": options})
    ours = dict.fromkeys(("BACKTRAIL_DATA", "BACKTRAIL_STATE", "BACKTRAIL_CACHE"), str(data))
    environ = {**os.environ, **ours, **(env or {})}
    environ.pop("VIRTUAL_ENV", None)
    await client.start_io(sys.executable, *command, "serve", env=environ)
    with warnings.catch_warnings():
        warnings.simplefilter("error", LspSpecificationWarning)
        params = types.InitializeParams(
            capabilities=capabilities or pytest_lsp.client_capabilities(name),
            root_uri=root.as_uri(),
            workspace_folders=[types.WorkspaceFolder(root.as_uri(), root.name)],
            initialization_options=options,
        )
        result = await client.initialize_session(params)
        editor.encoding = convert.encoding_of(result.capabilities.position_encoding)
        try:
            yield editor
        finally:
            if editor.connected:
                async with asyncio.timeout(WAIT_S):
                    await client.shutdown_session()
                await client.stop()
