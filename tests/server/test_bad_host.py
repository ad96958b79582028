"""A base_url that is slow, refuses or sends rubbish: it is said with what to do, and the rest goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.model.scripted import Answer, Seen, as_json, serving
from tests.server.conftest import make_project
from tests.server.editor import Editor, editing

PUZZLE = {
    "puzzle.py": 'def word(n):\n    return "abc" * n\n',
    "test_puzzle.py": "from puzzle import word\n\n\ndef test_word():\n    assert word(2) == 'one two'\n",
}
"""No single small edit makes it right, so a search needs the model."""
TOO_LONG = {"error": {"message": "the context holds 128", "code": "context_length_exceeded"}}


def healthy(answer: Answer):
    """A server that is well until it is asked something."""

    def answers(seen: Seen) -> Answer:
        if seen.method == "GET":
            body = {"status": "ok", "model": "m", "data": [{"id": "qwen2.5-coder"}]}
            return as_json(body)
        return answer

    return answers


def options(url: str) -> dict[str, Any]:
    return {"model": {"baseUrl": url}, "fix": {"budgetSeconds": 10}}


async def failing(editor: Editor, name: str) -> None:
    editor.open(name)
    editor.save(name)
    await editor.failure(f"test_{name}")


RUBBISH = Answer([b"<html>It works!</html>"], headers={"content-type": "text/html"})


TROUBLES = [
    (lambda seen: RUBBISH, "base_url"),
    (healthy(RUBBISH), "base_url"),
    (healthy(Answer([b"data: {{{\n\n"])), "base_url"),
    (healthy(as_json({"error": {"message": "who?"}}, 401)), "token"),
    (healthy(as_json({"error": {"message": "boom"}}, 500)), "500"),
    (healthy(as_json({"error": {"message": "later"}}, 429)), "busy"),
    (healthy(as_json(TOO_LONG, 400)), "longer context"),
]


async def test_what_is_wrong_is_said_with_what_to_do(tmp_path: Path, data: Path) -> None:
    root = make_project(tmp_path / "project", PUZZLE)
    async with serving(RUBBISH) as server, editing(root, data, options=options(server.url)) as editor:
        await failing(editor, "puzzle.py")
        for answer, said in TROUBLES:
            server.answer = answer
            told = (await editor.command("backtrail.explain", editor.uri("puzzle.py")))["markdown"]
            assert said in told
            assert "one two" in told, "the facts are there without a model"
        sought = await editor.command("backtrail.fix", editor.uri("puzzle.py"))
        assert sought["found"] is False and "longer context" in sought["message"], sought
        assert await editor.hover("puzzle.py", 'return "abc" * ^n')


async def test_while_a_slow_host_thinks_everything_else_goes_on(project: Path, data: Path) -> None:
    slow = healthy(Answer([b"data: "], hang=True))
    async with serving(slow) as server, editing(project, data, options=options(server.url)) as editor:
        await failing(editor, "stats.py")
        waiting = asyncio.ensure_future(editor.command("backtrail.explain", editor.uri("stats.py")))
        await editor.until(lambda: any(seen.method == "POST" for seen in server.seen), "it was asked")
        assert await editor.hover("stats.py", "to^tal += value")
        found = await editor.command("backtrail.fix", editor.uri("stats.py"))
        assert found["found"], "an edit that needs no model"
        assert not waiting.done(), "it still thinks"
        editor.write("stats.py", editor.texts[editor.uri("stats.py")].replace(" + 1", ""))
        editor.save("stats.py")
        await editor.clean("test_stats.py")
        editor.write("stats.py", editor.texts[editor.uri("stats.py")].replace("total /", "1 + total /"))
        editor.save("stats.py")
        await editor.failure("test_stats.py")
        server.answer = healthy(RUBBISH)
        told = await editor.command("backtrail.explain", editor.uri("stats.py"))
        assert "base_url" in told["markdown"], "a new question takes the place of the old one"
        await asyncio.gather(waiting, return_exceptions=True)
