"""Inlay hints: the last value of the names that a line assigned, at the end of the line."""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from backtrail_server import convert, words
from backtrail_server.core import Core
from backtrail_server.editor import Document
from backtrail_server.results import Ran, View
from backtrail_tracer.aging import split_lines

if TYPE_CHECKING:
    from backtrail_tracer.questions import Assigned

_LABEL_CHARS = 40


def register(server: LanguageServer, core: Core) -> None:
    @server.feature(types.TEXT_DOCUMENT_INLAY_HINT)
    def hints(params: types.InlayHintParams) -> list[types.InlayHint]:
        document = core.editor.document(params.text_document.uri)
        view = core.view(document) if document else None
        if document is None or view is None or not core.loaded(document.path).settings.inlay_hints.enabled:
            return []
        wanted = range(params.range.start.line + 1, params.range.end.line + 2)
        return _hints(core, document, view, wanted)


def _hints(core: Core, document: Document, view: View, wanted: range) -> list[types.InlayHint]:
    found = []
    for ran_line, group in assigned(view.ran, view.path):
        line = view.lines.now(ran_line)
        if line is not None and line in wanted:
            found.append(_hint(core, document, view, line, group))
    return found


@lru_cache(maxsize=32)
def assigned(ran: Ran, path: Path) -> tuple[tuple[int, tuple[Assigned, ...]], ...]:
    """The assignments of a file by line, worked out once a run."""
    from backtrail_tracer.questions import last_values

    by_line = groupby(last_values(ran.trace, path), key=lambda one: one.line)
    return tuple((line, tuple(group)) for line, group in by_line)


def _hint(
    core: Core, document: Document, view: View, line: int, group: tuple[Assigned, ...]
) -> types.InlayHint:
    end = len(split_lines(document.text)[line - 1].rstrip())
    label = words.cut(", ".join(f"{one.name} = {one.value.text}" for one in group), _LABEL_CHARS)
    tests = {item.id: item.name for item in view.ran.trace.items}
    details = [_details(one, tests.get(one.item or 0, "")) for one in group]
    return types.InlayHint(
        position=convert.position(document.text, line, end, core.editor.encoding),
        label=label,
        tooltip=types.MarkupContent(
            types.MarkupKind.Markdown, "\n\n".join([*details, words.age_words(view)])
        ),
        padding_left=True,
    )


def _details(one: Assigned, test: str) -> str:
    many = f" · last of {one.count}" if one.count > 1 else ""
    capped = " · later assignments were not recorded" if one.capped else ""
    text = words.cut(one.value.text, 400)
    kind, where = words.inline(one.value.type), f" · in {words.inline(test)}" if test else ""
    return f"{words.inline(one.name)} = {words.inline(text)} · {kind}{many}{where}{capped}"
