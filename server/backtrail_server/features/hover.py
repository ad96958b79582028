"""Hover: the recorded values of the expression under the cursor, from memory.

What was not recorded is asked of the program that stands still at its failure, when there is one, the
expression runs none of its code, and the setting allows it (see `evaluate.py`).
"""

from __future__ import annotations

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from backtrail_server import convert, expressions, words
from backtrail_server.core import Core
from backtrail_server.features import evaluate
from backtrail_server.results import View


def register(server: LanguageServer, core: Core) -> None:
    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def hover(params: types.HoverParams) -> types.Hover | None:
        document = core.editor.document(params.text_document.uri)
        view = core.view(document) if document else None
        if document is None or view is None:
            return None
        encoding = core.editor.encoding
        line, column = convert.place(document.text, params.position, encoding)
        ran_line = view.lines.ran(line)
        # The line is the same in both texts, so columns in the text that ran are columns in this one.
        found = expressions.expression_at(view.ran_text, ran_line, column) if ran_line else None
        if ran_line is None or found is None:
            return None
        expression, first, last = found
        text = recorded(view, ran_line, expression) or await evaluate.pointed_at(
            core, view, ran_line, expression
        )
        if text is None:
            return None
        start = convert.position(document.text, line, first, encoding)
        end = convert.position(document.text, line, last, encoding)
        return types.Hover(_content(core, text), types.Range(start, end))


def _content(core: Core, markdown: str) -> types.MarkupContent:
    return types.MarkupContent(types.MarkupKind.Markdown, markdown)


def recorded(view: View, line: int, expression: str) -> str | None:
    """The hover's markdown from the trace, or None when it does not know the expression."""
    from backtrail_tracer.questions import values_at

    known = values_at(view.ran.trace, view.path, line, expression)
    return words.recorded_markdown(known, view) if known is not None else None
