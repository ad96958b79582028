"""“Why this value” in an editor: a chain of places with values, from memory, without any model."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsprotocol import types

from tests.server.editor import Editor, editing


async def traced(editor: Editor) -> types.Diagnostic:
    for name in ("stats.py", "test_stats.py"):
        editor.open(name)
    editor.save("stats.py")
    return await editor.failure("test_stats.py")


def position(editor: Editor, name: str, marked: str) -> dict[str, int]:
    at = editor.place(name, marked)
    return {"line": at.line, "character": at.character}


async def test_the_chain_of_the_value_under_the_cursor(project: Path, data: Path) -> None:
    async with editing(project, data) as editor:
        await traced(editor)
        place = position(editor, "stats.py", "return ^total")
        told = await editor.command("backtrail.why", editor.uri("stats.py"), place)
        assert told["title"] == "Why total is 6 at stats.py:5"
        first = told["locations"][0]
        assert (first["uri"], first["range"]["start"]["line"]) == (editor.uri("stats.py"), 2)
        own = [one for one in told["locations"] if one["uri"] == editor.uri("stats.py")]
        lines = [one["range"]["start"]["line"] for one in own]
        assert {1, 3} <= set(lines), "where total began, and where it was added to"
        assert 4 not in lines, "the line itself came later"
        added = next(one for one in own if one["range"]["start"]["line"] == 3)
        assert "L4#3: total += value  with total = 3, value = 3  → total = 6" in added["message"]
        assert "`total = 6`" in told["markdown"]
        assert (project / "stats.py").as_uri() + "#L4" in told["markdown"]


async def test_after_an_edit_places_follow_and_an_edited_line_has_no_reason(
    project: Path, data: Path
) -> None:
    async with editing(project, data) as editor:
        await traced(editor)
        text = (project / "stats.py").read_text(encoding="utf-8")
        editor.change("stats.py", f"# one\n# two\n{text}")
        place = position(editor, "stats.py", "return ^total")
        told = await editor.command("backtrail.why", editor.uri("stats.py"), place)
        assert {3, 5} <= {one["range"]["start"]["line"] for one in told["locations"]}
        assert "**old**" in told["markdown"]

        editor.change("stats.py", text.replace("return total", "return  total"))
        place = position(editor, "stats.py", "return  ^total")
        told = await editor.command("backtrail.why", editor.uri("stats.py"), place)
        assert told["locations"] == []
        assert "edited after it ran" in told["markdown"]


async def test_without_a_place_it_is_the_failing_line_and_no_other_thing_is_a_place(
    project: Path, data: Path
) -> None:
    async with editing(project, data) as editor:
        await traced(editor)
        told = await editor.command("backtrail.why", editor.uri("test_stats.py"))
        assert "What test_stats.py:5 came from" in told["title"]
        assert any(one["uri"] == editor.uri("stats.py") for one in told["locations"])
        with pytest.raises(Exception, match="position with a line"):
            await editor.command("backtrail.why", editor.uri("stats.py"), "here")


async def test_it_is_offered_when_asked_for_and_not_as_a_bulb(project: Path, data: Path) -> None:
    async with editing(project, data) as editor:
        await traced(editor)
        at = editor.place("stats.py", "^total += value")

        async def titles(trigger: types.CodeActionTriggerKind) -> list[str]:
            found = await editor.client.text_document_code_action_async(
                types.CodeActionParams(
                    types.TextDocumentIdentifier(editor.uri("stats.py")),
                    types.Range(at, at),
                    types.CodeActionContext([], trigger_kind=trigger),
                )
            )
            return [action.title for action in found or []]

        assert "Why is total 6?" in await titles(types.CodeActionTriggerKind.Invoked)
        assert not any("Why" in title for title in await titles(types.CodeActionTriggerKind.Automatic))
