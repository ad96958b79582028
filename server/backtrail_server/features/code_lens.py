"""Code lenses: what ran, how it went, and what can be done, over each test or on the first line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from backtrail_server import words
from backtrail_server.core import Core, Project
from backtrail_server.editor import Document
from backtrail_server.results import Note, Ran, View, same_file

if TYPE_CHECKING:
    from backtrail_tracer.trace import Item

_FIRST_LINE = 1
_ENDING_CHARS = 160


def register(server: LanguageServer, core: Core) -> None:
    @server.feature(types.TEXT_DOCUMENT_CODE_LENS)
    def lenses(params: types.CodeLensParams) -> list[types.CodeLens]:
        document = core.editor.document(params.text_document.uri)
        if document is None or not core.loaded(document.path).settings.code_lens.enabled:
            return []
        return _lenses(core.project(document.path), document)


def _lenses(project: Project, document: Document) -> list[types.CodeLens]:
    note = project.results.notes.get(document.path)
    ran = project.results.of_file(document.path)
    found: list[types.CodeLens] = []
    if note is not None:
        found += _of_note(document, note, ran)
    if ran is None:
        return found
    items = _of_items(document, ran)
    if not items and note is None:
        items = _of_run(document, ran)
    return found + items


def _of_note(document: Document, note: Note, ran: Ran | None) -> list[types.CodeLens]:
    since = f" Values are from {words.clock(ran.trace)}." if ran else ""
    line = note.line if note.kind == "syntax" else _FIRST_LINE
    made = [_lens(line, f"{note}{since}", "backtrail.status", [])]
    if note.kind in ("consent", "cancelled", "failed"):
        made.append(_lens(line, "Trace again", "backtrail.trace", [document.uri]))
    return made


def _of_run(document: Document, ran: Ran) -> list[types.CodeLens]:
    """One row for the whole run, over a file that holds no test of it."""
    title = f"{ran.entry.label}: {words.outcome_words(ran.trace)}"
    if ending := words.ending_words(ran.trace):
        title += f" ({words.cut(ending, _ENDING_CHARS)})"
    failure = 0 if ran.trace.failures else None
    return _row(document, _FIRST_LINE, title, failure)


def _of_items(document: Document, ran: Ran) -> list[types.CodeLens]:
    """A row over each test of this file; tests of one line (parameters) share it."""
    text = ran.text(document.path)
    if text is None:
        return []
    view = View(ran, document.path, text, document.text)
    by_line: dict[int, list[Item]] = {}
    for item in ran.trace.items:
        line = view.lines.now(item.line) if item.path and same_file(item.path, document.path) else None
        if line is not None:
            by_line.setdefault(line, []).append(item)
    rows = []
    for line, items in sorted(by_line.items()):
        rows += _row(document, line, words.items_words(items) + _old(view), _failure_of(ran, items))
    return rows


def _old(view: View) -> str:
    return " (before your last edits)" if view.old else ""


def _failure_of(ran: Ran, items: list[Item]) -> int | None:
    ids = {item.id for item in items}
    return next((index for index, failure in enumerate(ran.trace.failures) if failure.item in ids), None)


def _row(document: Document, line: int, title: str, failure: int | None) -> list[types.CodeLens]:
    """Outcome · Trace again, and for a failure · Explain · Fix, and for the first · Debug."""
    row = [
        _lens(line, title, "backtrail.status", []),
        _lens(line, "Trace again", "backtrail.trace", [document.uri]),
    ]
    if failure is not None:
        row.append(_lens(line, "Explain", "backtrail.explain", [document.uri, failure]))
        row.append(_lens(line, "Fix", "backtrail.fix", [document.uri, failure]))
    if failure == 0:  # the one that a run stands still at
        row.append(_lens(line, "Debug", "backtrail.debug", [document.uri]))
    return row


def _lens(line: int, title: str, command: str, arguments: list[object]) -> types.CodeLens:
    at = types.Position(line - 1, 0)
    return types.CodeLens(types.Range(at, at), types.Command(title, command, arguments=arguments))
