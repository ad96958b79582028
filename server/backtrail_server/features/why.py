"""Why this value: the recorded hits that a value came from, as a chain of places.

No model is asked and nothing is run: the answer is the dynamic slice of what was recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from backtrail_server import convert, expressions, words
from backtrail_server.assisting import source_of
from backtrail_server.core import Core
from backtrail_server.editor import Document
from backtrail_server.results import View
from backtrail_tracer.aging import line_map
from backtrail_tracer.questions import values_at

if TYPE_CHECKING:
    from backtrail_model.evidence.why import Chain, Link

_MOST_TITLE = 60


async def answer(core: Core, document: Document, place: Mapping[str, Any] | None) -> dict[str, object]:
    """`{"title", "markdown", "locations"}`; a location is a Location with the `message` that belongs to it.

    `place` is an LSP position; without one, the place where the first failure left this file.
    """
    view = core.view(document)
    if view is None:
        return _nothing(f"No run of {document.path.name} is recorded. Save it, or use “Trace again”.")
    line, column = _at(core, document, place) if place is not None else (_failing(view) or 1, -1)
    ran = view.lines.ran(line)
    if ran is None:
        return _nothing(f"Line {line} was edited after it ran. Save the file to run it again.")
    expression = pointed_at(view, ran, column)
    chain = await asyncio.to_thread(chain_of, view, ran, expression)
    if chain is None:
        return _nothing(f"Nothing was recorded of `{expression or f'line {line}'}` that could tell.")
    from backtrail_model.veil import covered  # a chain shows lines of source, with what stands in them

    locations = [_location(core, view, link) for link in chain.links]
    return {
        "title": words.cut(covered(chain.title), 80),
        "markdown": covered(markdown(chain, view)),
        "locations": [{**each, "message": covered(str(each["message"]))} for each in locations],
    }


def actions(core: Core, document: Document, params: types.CodeActionParams) -> Iterator[types.CodeAction]:
    """“Why is x 7?” for the value under the cursor, only when a person asks: no bulb for each name."""
    if params.context.trigger_kind is not types.CodeActionTriggerKind.Invoked:
        return
    view, at = core.view(document), params.range.start
    if view is None:
        return
    line, column = convert.place(document.text, at, core.editor.encoding)
    ran = view.lines.ran(line)
    expression = pointed_at(view, ran, column) if ran is not None else ""
    known = values_at(view.ran.trace, view.path, ran, expression) if ran is not None and expression else None
    if known is None:
        return
    title = words.cut(f"Why is {expression} {known.last.text}?", _MOST_TITLE)
    place: object = {"line": at.line, "character": at.character}
    command = types.Command(title, "backtrail.why", arguments=[document.uri, place])
    yield types.CodeAction(title=title, kind=types.CodeActionKind.QuickFix, command=command)


def _nothing(reason: str) -> dict[str, object]:
    return {"title": "Why this value", "markdown": reason, "locations": []}


def _at(core: Core, document: Document, place: Mapping[str, Any]) -> tuple[int, int]:
    at = types.Position(int(place["line"]), int(place["character"]))
    return convert.place(document.text, at, core.editor.encoding)


def _failing(view: View) -> int | None:
    """The line of the text at hand at which the first failure left the file."""
    frames = (frame for failure in view.ran.trace.failures for frame in words.users_frames(failure))
    return next((view.lines.now(frame.line) for frame in frames if frame.path == view.path), None)


def pointed_at(view: View, line: int, column: int) -> str:
    """The expression at a place of the text that ran; empty when there is none, which means the line."""
    found = expressions.expression_at(view.ran_text, line, column) if column >= 0 else None
    return found[0] if found is not None else ""


def chain_of(view: View, line: int, expression: str) -> Chain | None:
    from backtrail_model.evidence.why import why

    return why(view.ran.trace, source_of(view.ran), view.path, line, expression)


def markdown(chain: Chain, view: View) -> str:
    """The chain for a person, latest first, each place as a link."""
    parts = [f"# {chain.title}"]
    parts += [f"{number}. {_row(link)}" for number, link in enumerate(chain.links, 1)]
    if not chain.links:
        parts.append("It came from nothing that was recorded.")
    if chain.left_out:
        parts.append(f"*{chain.left_out} more recorded hits have to do with it and are not shown.*")
    parts += [f"*Not known: {limit}.*" for limit in chain.limits]
    parts.append(words.age_words(view))
    return "\n\n".join(parts) + "\n"


def _row(link: Link) -> str:
    fact = link.fact
    given = ", ".join(f"{words.inline(name)} = {words.inline(text)}" for name, text in fact.reads.items())
    did = f" → {words.inline(fact.effect)}" if fact.effect not in ("", fact.source) else ""
    doubt = " *(uncertain: lines in between were not recorded)*" if fact.uncertain else ""
    place = f"[{fact.path.name}:{fact.line}]({fact.path.as_uri()}#L{fact.line})"
    code = words.inline(fact.source)
    return f"{place} {code}{did}{f', with {given}' if given else ''} — {link.because}{doubt}"


def _location(core: Core, view: View, link: Link) -> dict[str, object]:
    """Where the line is now, where the file is open or readable; else where it was when it ran."""
    path, line = link.fact.path, link.fact.line
    document = core.document_of(path)
    ran = view.ran.text(path)
    text = document.text if document is not None else ran or ""
    now = line_map(ran, text).now(line) if ran is not None else line
    where = convert.line_range(text, now or line, core.editor.encoding)
    return {
        "uri": _uri(path, document),
        "range": {
            "start": {"line": where.start.line, "character": where.start.character},
            "end": {"line": where.end.line, "character": where.end.character},
        },
        "message": f"{link.fact}, {link.because}",
    }


def _uri(path: Path, document: Document | None) -> str:
    return document.uri if document is not None else path.as_uri()
