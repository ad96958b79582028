"""Values from the program that stands still at its failure: for hover, what runs none of its code; by
command, whatever the person asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from backtrail_server import convert, expressions, words
from backtrail_server.core import Core
from backtrail_server.editor import Document
from backtrail_server.results import View, same_file

if TYPE_CHECKING:
    from backtrail_tracer.postmortem import StoppedFrame, StoppedProgram
    from backtrail_tracer.trace import Value

COMMAND = "backtrail.evaluate"
_ASK_S = 2.0
_ASKED_FOR_S = 15.0
_MOST_TITLE = 40


def register(server: LanguageServer, core: Core) -> None:
    async def evaluate(arguments: list[Any], token: str | int | None) -> dict[str, object]:
        """(uri, line from 0, expression): its value in the frame of that line, whatever it calls."""
        uri, row, expression = [*arguments, None, None, None][:3]
        document = core.editor.document(uri) if isinstance(uri, str) else None
        if document is None or not isinstance(row, int) or not isinstance(expression, str):
            raise JsonRpcInvalidParams(f"{COMMAND} needs the URI of a file, a line from 0 and an expression")
        return await asked_for(core, document, row + 1, expression)

    server.command(COMMAND)(evaluate)


def stopped_in(core: Core, view: View) -> StoppedProgram | None:
    """The program that stands still in the very run that a view shows, if there is one."""
    project = core.project(view.path)
    stopped = project.stopped
    if stopped is None or not stopped.stands or project.stopped_run != view.ran.trace.run:
        return None
    return stopped


async def _frames(stopped: StoppedProgram, view: View, line: int) -> list[StoppedFrame]:
    """The frames of the function around a line of the text that ran, innermost first."""
    function = expressions.function_lines(view.ran_text, line)
    return [
        frame
        for frame in await stopped.frames()
        if frame.path is not None
        and same_file(frame.path, view.path)
        and expressions.function_lines(view.ran_text, frame.line) == function
    ]


async def _value(stopped: StoppedProgram, view: View, line: int, expression: str, *, asked: bool) -> Value:
    """In the innermost frame that knows the names: a comprehension, up to Python 3.11, is one of its own.
    Raises DapError, Refused."""
    from backtrail_tracer.dap import DapError

    error = DapError("no frame of this function is on the stack of the stopped program")
    for frame in await _frames(stopped, view, line):
        try:
            return await stopped.evaluate(expression, frame, asked_for=asked)
        except DapError as problem:
            error = problem
            if not str(problem).startswith("NameError"):
                break
    raise error


async def pointed_at(core: Core, view: View, line: int, expression: str) -> str | None:
    """The hover's markdown for what was not recorded, or None."""
    from backtrail_tracer.dap import DapError
    from backtrail_tracer.postmortem import Refused

    stopped = stopped_in(core, view)
    if stopped is None or not core.loaded(view.path).settings.hover.evaluate:
        return None
    try:
        async with asyncio.timeout(_ASK_S):
            value = await _value(stopped, view, line, expression, asked=False)
    except Refused as refused:
        told = f"**{words.inline(expression)}** was not evaluated: {refused}."
        return f"{told} A code action here evaluates it anyway."
    except (DapError, TimeoutError):
        return None  # it raised, or is gone: there is nothing to show, and hover must not complain
    return _markdown(expression, value, view)


async def asked_for(core: Core, document: Document, line: int, expression: str) -> dict[str, object]:
    """{"title", "markdown"}, or {"reason"} when there is nothing to ask."""
    from backtrail_tracer.dap import DapError

    view = core.view(document)
    ran = view.lines.ran(line) if view is not None else None
    stopped = stopped_in(core, view) if view is not None else None
    if view is None or ran is None or stopped is None:
        return {"reason": f"No failed program of {document.path.name} stands still: run it again first."}
    try:
        async with asyncio.timeout(_ASKED_FOR_S):
            value = await _value(stopped, view, ran, expression, asked=True)
    except (DapError, TimeoutError) as error:
        told = str(error) or "it took too long"
        return {"title": expression, "markdown": f"**{words.inline(expression)}** gave no value: {told}"}
    return {"title": expression, "markdown": _markdown(expression, value, view)}


def _markdown(expression: str, value: Value, view: View) -> str:
    head = f"**{words.inline(expression)}** · {words.inline(value.type)}"
    told = "evaluated in the program that stands still at its failure"
    return "\n\n".join([head, words.code(value.text), f"{told}, {words.age_words(view)}"])


def actions(core: Core, document: Document, params: types.CodeActionParams) -> Iterator[types.CodeAction]:
    """“Evaluate anyway” for what is selected, or for what the cursor is on unless that was recorded; only
    when the person asks for actions, as each name would have one."""
    view = core.view(document)
    invoked = params.context.trigger_kind is types.CodeActionTriggerKind.Invoked
    if not invoked or view is None or stopped_in(core, view) is None:
        return
    line, column = convert.place(document.text, params.range.start, core.editor.encoding)
    ran = view.lines.ran(line)
    expression = _selected(core, document, params.range) or (
        _unrecorded(view, ran, column) if ran is not None else ""
    )
    if ran is None or not expression:
        return
    title = f"Evaluate {words.cut(expression, _MOST_TITLE)} in the stopped program (runs its code)"
    command = types.Command(title, COMMAND, arguments=[document.uri, params.range.start.line, expression])
    yield types.CodeAction(title=title, kind=types.CodeActionKind.QuickFix, command=command)


def _selected(core: Core, document: Document, where: types.Range) -> str:
    encoding = core.editor.encoding
    start, end = (convert.offset(document.text, at, encoding) for at in (where.start, where.end))
    text = document.text[start:end].strip()
    return text if "\n" not in text else ""


def _unrecorded(view: View, line: int, column: int) -> str:
    from backtrail_tracer.questions import values_at

    found = expressions.expression_at(view.ran_text, line, column)
    if found is None or values_at(view.ran.trace, view.path, line, found[0]) is not None:
        return ""
    return found[0]
