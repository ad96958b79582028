"""Code actions on a failing line: explain it, search a fix, apply a fix that was run; and, where the guard
stopped the run, allow what it stopped (see `allow.py`).

The list is made from memory, and an edit is made only when an action is chosen (`codeAction/resolve`),
because some editors ask for the list, and wait for it, whenever a file is saved.
"""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from backtrail_server import words
from backtrail_server.core import Core, Project
from backtrail_server.editor import Document
from backtrail_server.features import allow, debug, evaluate, why
from backtrail_server.features.fix import Fixing
from backtrail_server.offers import Offer
from backtrail_server.results import Shown, View, same_file

_CONTENT_MODIFIED = -32801


def register(server: LanguageServer, core: Core, fixing: Fixing) -> None:
    options = types.CodeActionOptions([types.CodeActionKind.QuickFix], resolve_provider=True)

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, options)
    def actions(params: types.CodeActionParams) -> list[types.CodeAction | types.Command]:
        document = core.editor.document(params.text_document.uri)
        only = params.context.only
        if document is None or (only and not any(_wanted(kind) for kind in only)):
            return []
        rows = range(params.range.start.line + 1, params.range.end.line + 2)
        project = core.project(document.path)
        found: list[types.CodeAction] = []
        for shown in project.results.failures():
            if any(line in rows for line in _lines(shown, document)):
                marked = [d for d in params.context.diagnostics if _is_of(d, shown)]
                found += _of_failure(core, project, document, shown, marked)
        found += allow.actions(core, project, document, rows, list(params.context.diagnostics))
        found += why.actions(core, document, params)
        found += evaluate.actions(core, document, params)
        if core.editor.can("text_document.code_action.code_action_literal_support"):
            return list(found)
        return [action.command for action in found if action.command is not None]

    @server.feature(types.CODE_ACTION_RESOLVE)
    def resolve(action: types.CodeAction) -> types.CodeAction:
        data = action.data if isinstance(action.data, dict) else {}
        offer = _offer(core, data.get("offer"))
        if offer is None:
            raise JsonRpcException("this fix is no longer known: search again", _CONTENT_MODIFIED)
        refused = fixing.stale(offer)
        if refused is not None:
            raise JsonRpcException(refused, _CONTENT_MODIFIED)
        action.edit = fixing.edit(offer)
        return action


def _wanted(kind: types.CodeActionKind | str) -> bool:
    name = kind.value if isinstance(kind, types.CodeActionKind) else kind
    return name in ("", "quickfix")


def _lines(shown: Shown, document: Document) -> Iterator[int]:
    """Where the person's frames of a failure are in a text at hand."""
    text = shown.ran.text(document.path)
    if text is None:
        return
    view = View(shown.ran, document.path, text, document.text)
    for frame in words.users_frames(shown.failure):
        if same_file(frame.path, document.path):
            first, last = view.lines.now(frame.line), view.lines.now(frame.end_line)
            if first is not None:
                yield from range(first, (last or first) + 1)


def _is_of(diagnostic: types.Diagnostic, shown: Shown) -> bool:
    data = diagnostic.data
    if not isinstance(data, dict):
        data = getattr(data, "_asdict", dict)()
    return data.get("run") == shown.ran.trace.run and data.get("failure") == shown.index


def _of_failure(
    core: Core, project: Project, document: Document, shown: Shown, marked: list[types.Diagnostic]
) -> Iterator[types.CodeAction]:
    title = words.cut(words.failure_title(shown.failure), 60)
    for offer in project.offers.of_failure(shown.ran.trace.run, shown.index)[:1]:
        if core.document_of(next(iter(offer.before))) is not None:
            yield _fix_action(core, document, offer, marked)
    arguments: list[object] = [document.uri, shown.index]
    for name, command in ((f"Explain {title}", "backtrail.explain"), (f"Fix {title} …", "backtrail.fix")):
        yield types.CodeAction(
            title=name,
            kind=types.CodeActionKind.QuickFix,
            diagnostics=marked or None,
            command=types.Command(name, command, arguments=arguments),
        )
    yield from debug.actions(project, document, shown, marked)


def _fix_action(
    core: Core, document: Document, offer: Offer, marked: list[types.Diagnostic]
) -> types.CodeAction:
    """A verified fix. Its edit comes by resolve; a client that cannot resolve gets a command."""
    action = types.CodeAction(
        title=offer.title,
        kind=types.CodeActionKind.QuickFix,
        diagnostics=marked or None,
        is_preferred=offer.preferred,
    )
    if _resolves(core):
        action.data = {"offer": offer.id}
    else:
        action.command = types.Command(offer.title, "backtrail.applyFix", arguments=[document.uri, offer.id])
    return action


def _resolves(core: Core) -> bool:
    support = "text_document.code_action.resolve_support.properties"
    properties = core.editor.capability(support) or []
    return "edit" in properties and core.editor.can("text_document.code_action.data_support")


def _offer(core: Core, id: object) -> Offer | None:
    found = (project.offers.get(str(id)) for project in core.projects())
    return next((offer for offer in found if offer is not None), None)
