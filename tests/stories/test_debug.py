"""Debug this failure, as an editor does it: ask the server for the address, attach a DAP client to the very
process that failed, look, change, go on; and evaluate what a hover would not."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from backtrail_tracer.postmortem import Address
from tests.server.conftest import make_project
from tests.server.editor import Editor, editing
from tests.tracer.test_handover import Debugger, debugger

SHOP = """\
class Item:
    def __init__(self, price):
        self.price = price

    @property
    def gross(self):
        print("asked")
        return self.price * 2


def cost(item, count):
    rate = {"few": 1}
    if count < 3:
        return item.price * rate["few"]
    return item.gross * rate["many"]


def test_cost():
    item = Item(4)
    assert cost(item, 3) == 8
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project", {"test_shop.py": SHOP})


async def failing(editor: Editor) -> types.Diagnostic:
    editor.open("test_shop.py")
    editor.save("test_shop.py")
    return await editor.failure("test_shop.py")


async def handed_over(editor: Editor) -> tuple[Address, int]:
    answer = await editor.command("backtrail.debug", editor.uri("test_shop.py"))
    assert answer.get("ready") is True, answer
    return Address(answer["host"], answer["port"], answer["token"]), answer["pid"]


async def no_children(editor: Editor) -> None:
    async with asyncio.timeout(30):
        while editor.children():
            await asyncio.sleep(0.1)


async def look_and_change(it: Debugger) -> int:
    """Attaches to the program that stopped, sets a variable of it; gives the stopped thread."""
    thread, frames = await it.top()
    own = next(frame for frame in frames if frame["name"].split()[0] == "cost")
    assert (own["line"], Path(own["source"]["path"]).name) == (15, "test_shop.py")
    reference, values = await it.local(own)
    assert values["count"] == "3"
    await it.request("setVariable", variablesReference=reference, name="count", value="2")
    told = await it.request("evaluate", expression="count * item.price", frameId=own["id"], context="repl")
    assert told["result"] == "8"
    return thread


async def test_the_failed_process_is_handed_to_a_debugger_and_goes_on(shop: Path, tmp_path: Path) -> None:
    async with editing(shop, tmp_path / "data") as editor:
        found = await failing(editor)
        assert "Debug" in await editor.titles("test_shop.py")
        titles = [action.title for action in await editor.actions("test_shop.py", found)]
        assert any(re.match("Debug KeyError.* where it stopped", title) for title in titles), titles
        address, pid = await handed_over(editor)
        assert pid in [process.pid for process in editor.children()], "it is the very process that failed"
        async with debugger(address) as it:
            await it.attach(address.token)
            thread = await look_and_change(it)
            again = await editor.command("backtrail.debug", editor.uri("test_shop.py"))
            assert again["ready"] is False and "a debugger is attached" in again["reason"]
            await it.request("continue", threadId=thread)
            await it.event("terminated")
        await no_children(editor)
        # It is gone, so that the next one is a run of its own.
        other, fresh = await handed_over(editor)
        assert fresh != pid and other.token != address.token
        async with debugger(other) as it:
            await it.attach(other.token)
            await it.top()
            editor.write("test_shop.py", SHOP.replace('"many"', '"few"').replace("== 8", "== 8 + 0"))
            await editor.lens_saying("test_shop.py", "failed|passed")
            await it.top()  # a save does not take the process away from who is at work in it


async def test_nothing_to_debug_is_said(shop: Path, tmp_path: Path) -> None:
    async with editing(shop, tmp_path / "data", options={"hover": {"evaluate": False}}) as editor:
        await failing(editor)
        answer = await editor.command("backtrail.debug", editor.uri("test_shop.py"))
        assert answer["ready"] is False and "hover.evaluate is off" in answer["reason"]
    (shop / "test_shop.py").write_text("def test_a():\n    assert True\n")
    async with editing(shop, tmp_path / "data") as editor:
        editor.open("test_shop.py")
        answer = await editor.command("backtrail.debug", editor.uri("test_shop.py"))
        assert answer["ready"] is False and "does not fail" in answer["reason"]


async def asked_actions(editor: Editor, selected: types.Range) -> list[Any]:
    where = types.TextDocumentIdentifier(editor.uri("test_shop.py"))
    context = types.CodeActionContext([], trigger_kind=types.CodeActionTriggerKind.Invoked)
    params = types.CodeActionParams(where, selected, context)
    return list(await editor.client.text_document_code_action_async(params) or [])


async def test_a_property_is_not_run_by_hover_but_on_request(shop: Path, tmp_path: Path) -> None:
    async with editing(shop, tmp_path / "data") as editor:
        await failing(editor)
        async with asyncio.timeout(30):  # it takes a moment to come to its stop
            while (hover := await editor.hover("test_shop.py", "item.gr^oss")) is None:
                await asyncio.sleep(0.2)
        assert "is a property" in hover and "was not evaluated" in hover
        at = editor.place("test_shop.py", "item.gr^oss")
        titles = [action.title for action in await asked_actions(editor, types.Range(at, at))]
        assert "Evaluate item.gross in the stopped program (runs its code)" in titles, titles
        uri = editor.uri("test_shop.py")
        answer = await editor.command("backtrail.evaluate", uri, at.line, "item.gross")
        assert "8" in answer["markdown"] and answer["title"] == "item.gross"
        answer = await editor.command(
            "backtrail.evaluate", uri, at.line, "[cost(item, each) for each in (1, 2)]"
        )
        assert "[4, 4]" in answer["markdown"]
        answer = await editor.command("backtrail.evaluate", uri, at.line, "nobody")
        assert "NameError" in answer["markdown"]
        start = editor.place("test_shop.py", "return ^item.price * rate")
        end = editor.place("test_shop.py", 'return item.price * rate["few"]^')
        titles = [action.title for action in await asked_actions(editor, types.Range(start, end))]
        assert any(title.startswith('Evaluate item.price * rate["few"]') for title in titles)


async def test_a_failing_run_is_compared_with_the_last_good_one(shop: Path, tmp_path: Path) -> None:
    good = SHOP.replace('"many"', '"few"')
    async with editing(shop, tmp_path / "data") as editor:
        editor.open("test_shop.py")
        uri = editor.uri("test_shop.py")
        assert "no recorded failure" in (await editor.command("backtrail.divergence", uri, 0))["reason"]
        editor.write("test_shop.py", good)
        await editor.lens_saying("test_shop.py", "^passed")
        editor.write("test_shop.py", good.replace("Item(4)", "Item(5)"))
        await editor.failure("test_shop.py")
        answer = await editor.command("backtrail.divergence", uri, 0)
        assert "markdown" in answer, answer
        told = answer["markdown"]
        assert "price was 4 (call 1), now 5" in told and "test_shop.py" in told
        assert re.search(r"\| `price` \| `4` \| `5` \| differs \|", told), told
