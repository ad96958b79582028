"""The commands of `workspace/executeCommand`: arguments in, JSON out (the table is in ARCHITECTURE.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from backtrail_server import consent, runs, words
from backtrail_server.core import Core
from backtrail_server.editor import Document
from backtrail_server.features import explain, status, why
from backtrail_server.features.fix import Fixing, find_shown
from backtrail_server.features.refresh import Refresh
from backtrail_server.jobs import Job
from backtrail_server.results import Note
from backtrail_server.trust import ANSWERS, Answer

T = TypeVar("T")
Token = str | int | None
Handler = Callable[[list[Any], Token], Awaitable[dict[str, object]]]


def register(server: LanguageServer, core: Core, refresh: Refresh, fixing: Fixing) -> None:
    for name, handler in _handlers(core, refresh, fixing).items():
        server.command(name)(handler)


def _handlers(core: Core, refresh: Refresh, fixing: Fixing) -> dict[str, Handler]:
    async def trace(arguments: list[Any], token: Token) -> dict[str, object]:
        document = _document(core, arguments)
        outcome = await finish(runs.start(core, document, refresh.project, asked=True, token=token))
        if isinstance(outcome, Note):
            return {"started": False, "reason": str(outcome)}
        return {
            "started": True,
            "reason": f"{words.why_words(outcome)}: {words.outcome_words(outcome.trace)}",
        }

    async def explain_(arguments: list[Any], token: Token) -> dict[str, object]:
        document = _document(core, arguments)
        project = core.project(document.path)
        shown = find_shown(project, document.path, _index(arguments))
        if shown is None:
            return {"title": "Nothing to explain", "markdown": _nothing(document)}
        return (await finish(explain.start(core, project, shown, token))).to_wire()

    async def why_(arguments: list[Any], token: Token) -> dict[str, object]:
        return await why.answer(core, _document(core, arguments), _place(arguments))

    async def fix(arguments: list[Any], token: Token) -> dict[str, object]:
        document = _document(core, arguments)
        project = core.project(document.path)
        shown = find_shown(project, document.path, _index(arguments))
        if shown is None:
            message = _nothing(document)
            core.editor.tell(message)
            return {"found": False, "title": "Nothing to fix", "message": message}
        return (await finish(fixing.start(project, shown, asked=True, token=token))).to_wire()

    async def apply_fix(arguments: list[Any], token: Token) -> dict[str, object]:
        document = _document(core, arguments)
        project = core.project(document.path)
        offer = project.offers.get(str(arguments[1])) if len(arguments) > 1 else None
        if offer is None:
            return {"applied": False, "reason": "this fix is no longer known: search again"}
        refused = await fixing.apply(project, offer)
        return {"applied": refused is None, "reason": refused or ""}

    async def show_prompt(arguments: list[Any], token: Token) -> dict[str, object]:
        prompt = core.project(_document(core, arguments).path).prompt
        told = words.code(prompt, "text") if prompt else "No model has been asked in this workspace yet."
        return {"markdown": f"# What the model saw\n\n{told}\n"}

    async def consent_(arguments: list[Any], token: Token) -> dict[str, object]:
        root, answer = [*arguments, None, None][:2]
        if not isinstance(root, str) or answer not in ANSWERS:
            raise _wrong(f"backtrail.consent needs a folder and one of {', '.join(ANSWERS)}")
        folder = Path(root)
        allow = core.loaded(folder / "_").project_allow
        await consent.remember(core, folder, cast("Answer", answer), allow)
        core.project(folder / "_").declined = False
        return {"root": root, "answer": answer}

    async def status_(arguments: list[Any], token: Token) -> dict[str, object]:
        return {"markdown": await status.markdown(core)}

    return {
        "backtrail.trace": trace,
        "backtrail.explain": explain_,
        "backtrail.why": why_,
        "backtrail.fix": fix,
        "backtrail.applyFix": apply_fix,
        "backtrail.showPrompt": show_prompt,
        "backtrail.consent": consent_,
        "backtrail.status": status_,
    }


async def finish(job: Job[T]) -> T:
    """Wait for a job on behalf of a request: when the request is cancelled, so is the job."""
    try:
        return await job.result()
    except asyncio.CancelledError:
        job.cancel("the editor cancelled the request")
        await job.ended()
        raise


def _document(core: Core, arguments: list[Any]) -> Document:
    uri = arguments[0] if arguments else None
    document = core.editor.document(uri) if isinstance(uri, str) else None
    if document is None:
        raise _wrong(f"this command needs the URI of a file as its first argument, not {uri!r}")
    return document


def _index(arguments: list[Any]) -> int:
    given = arguments[1] if len(arguments) > 1 else 0
    if not isinstance(given, int) or given < 0:
        raise _wrong(f"the failure is a number from 0, not {given!r}")
    return given


def _place(arguments: list[Any]) -> dict[str, Any] | None:
    given = arguments[1] if len(arguments) > 1 else None
    if isinstance(given, dict) and all(isinstance(given.get(key), int) for key in ("line", "character")):
        return given
    if given is not None:
        raise _wrong(f"the place is a position with a line and a character from 0, not {given!r}")
    return None


def _wrong(message: str) -> JsonRpcInvalidParams:
    return JsonRpcInvalidParams(message)


def _nothing(document: Document) -> str:
    return f"{document.path.name} has no recorded failure. Save it, or use “Trace again”, to run it."
