"""Features on a recorded failure: what follows an edit, what the stopped program adds, what settings do."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
import pytest_lsp
from lsprotocol import types

from tests.server.conftest import STATS, TEST_STATS, make_project
from tests.server.editor import VSCODE, Editor, editing

SHOP = """\
class Item:
    def __init__(self, name, price):
        self.name = name
        self.price = price

    @property
    def label(self):
        return self.name.upper()


def cost(item, count):
    factor = {"few": 1, "many": 2}
    half = factor["none"] * item.price
    return half * count


def test_cost():
    assert cost(Item("tea", 4), 3) == 12
"""


def shop(tmp_path: Path, text: str = SHOP) -> Path:
    return make_project(tmp_path / "project", {"test_shop.py": text})


async def failing(editor: Editor, name: str) -> types.Diagnostic:
    editor.open(name)
    editor.save(name)
    return await editor.failure(name)


async def hover_in_time(editor: Editor, name: str, marked: str) -> str:
    """The stopped program answers when the debugger has connected; until then a hover is empty."""
    async with asyncio.timeout(30):
        while (found := await editor.hover(name, marked)) is None:
            await asyncio.sleep(0.2)
    return found


async def test_diagnostics_follow_the_text_and_vanish_with_their_line(tmp_path: Path, data: Path) -> None:
    async with editing(shop(tmp_path), data) as editor:
        found = await failing(editor, "test_shop.py")
        assert found.code == "KeyError" and found.range.start == editor.place(
            "test_shop.py", '^factor["none"]'
        )
        related = [info.message for info in found.related_information or ()]
        assert related[0].startswith("in cost:") and "count = 3" in related[0]
        assert related[1].startswith("in test_cost")
        editor.change("test_shop.py", "# one line more\n" + SHOP)
        moved = await editor.until(
            lambda: [d for d in editor.diagnostics("test_shop.py") if d.range.start.line == 13], "a moved one"
        )
        assert "before your last edits" in moved[0].message
        assert (await editor.hints("test_shop.py"))[13].startswith("factor = {")
        editor.change("test_shop.py", SHOP.replace('factor["none"]', 'factor["few"]'))
        await editor.clean("test_shop.py")
        hover = await editor.hover("test_shop.py", "fac^tor = {")
        assert hover and "**old**" in hover
        assert await editor.hover("test_shop.py", 'fac^tor["few"]') is None, "that line did not run"
        editor.change("test_shop.py", SHOP)
        assert len(await editor.until(lambda: editor.diagnostics("test_shop.py"), "back again")) == 1


async def test_what_was_not_recorded_is_asked_of_the_stopped_program(tmp_path: Path, data: Path) -> None:
    async with editing(shop(tmp_path), data) as editor:
        await failing(editor, "test_shop.py")
        hover = await hover_in_time(editor, "test_shop.py", "item.pr^ice")
        assert "```python\n4\n```" in hover and "stands still at its failure" in hover
        assert "3" in await hover_in_time(editor, "test_shop.py", "half * cou^nt"), "that line never ran"
        assert await editor.hover("test_shop.py", "self.na^me = name") is None, "that frame is gone"


async def test_the_stopped_program_is_left_alone_where_it_shall_be(tmp_path: Path, data: Path) -> None:
    async with editing(shop(tmp_path), data, options={"hover": {"evaluate": False}}) as editor:
        await failing(editor, "test_shop.py")
        assert await editor.hover("test_shop.py", "item.pr^ice") is None
        assert await editor.hover("test_shop.py", "it^em.price") is not None
        assert not [p for p in editor.children() if p.is_running()], "no program is kept for nothing"


async def test_settings_of_the_client_are_heard_when_they_change(project: Path, data: Path) -> None:
    off = {"onSave": "off", "inlayHints": {"enabled": False}, "codeLens": {"enabled": False}}
    async with editing(project, data, options=off) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        answer = await editor.command("backtrail.trace", editor.uri("stats.py"))
        assert answer["started"] is True, "what the person asks for is done"
        assert await editor.hints("stats.py") == {} and await editor.titles("stats.py") == []
        assert len(editor.client.progress_reports) == 1, "the save ran nothing"
        # VS Code only says that something changed, and is then asked.
        editor.client.set_configuration({"backtrail": {}})
        editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))
        assert await editor.lens_saying("stats.py", "1 passed, 1 failed")
        assert (await editor.hints("stats.py"))[2] == "total = 0"
        # Neovim sends the settings along.
        sent = types.DidChangeConfigurationParams({"backtrail": {"inlayHints": {"enabled": False}}})
        editor.client.workspace_did_change_configuration(sent)
        assert await editor.hints("stats.py") == {}


async def test_an_entry_of_the_project_comes_before_what_is_found(tmp_path: Path, data: Path) -> None:
    root = make_project(
        tmp_path / "project",
        {"stats.py": STATS, "test_stats.py": TEST_STATS, "go.py": "import stats\nx = stats.spread([1, 4])\n"},
    )
    file = root / "pyproject.toml"
    entry = 'entries = [{ name = "go", script = "go.py", covers = ["stats.py"] }]\n'
    file.write_text(file.read_text() + entry)
    async with editing(root, data) as editor:
        editor.open("stats.py")
        editor.save("stats.py")
        assert ": passed " in await editor.lens_saying("stats.py", "^script go.py")
        assert await editor.hover("stats.py", "max(val^ues)")
        status = (await editor.command("backtrail.status"))["markdown"]
        assert "the configured entry 'go'" in status and "its code may run on save" in status


async def test_a_document_with_odd_line_breaks_stays_what_it_is(tmp_path: Path, data: Path) -> None:
    odd = 'page = "a\u2028b"\x0c\n\x0cvalue = 3\n\n\n'
    odd += 'if __name__ == "__main__":\n    text = "é😀"; other = value\n'
    root = make_project(tmp_path / "project", {"odd.py": "x = 0\n"})
    async with editing(root, data) as editor:
        editor.open("odd.py")
        editor.write("odd.py", odd)
        assert await editor.lens_saying("odd.py", "python odd.py: passed")
        assert (await editor.hints("odd.py"))[6].startswith("text = 'é😀', other = 3")
        assert "3" in (await editor.hover("odd.py", "oth^er = value") or "")


async def test_actions_are_for_quick_fixes_and_the_failing_line_only(project: Path, data: Path) -> None:
    async with editing(project, data) as editor:
        editor.open("stats.py")
        await failing(editor, "test_stats.py")
        for line, only, expected in (
            (4, None, 3),
            (4, [types.CodeActionKind.QuickFix], 3),
            (4, [types.CodeActionKind.SourceOrganizeImports], 0),
            (0, None, 0),
        ):
            at = types.Position(line, 6)
            params = types.CodeActionParams(
                types.TextDocumentIdentifier(editor.uri("test_stats.py")),
                types.Range(at, at),
                types.CodeActionContext([], only),
            )
            answer = await editor.client.text_document_code_action_async(params)
            assert len(answer or []) == expected, (line, only)


async def test_a_client_that_cannot_resolve_gets_a_command_instead(project: Path, data: Path) -> None:
    simple = pytest_lsp.client_capabilities(VSCODE)
    assert simple.text_document and simple.text_document.code_action
    simple.text_document.code_action.resolve_support = None
    async with editing(project, data, capabilities=simple) as editor:
        editor.open("stats.py")
        failure = await failing(editor, "test_stats.py")
        found = await editor.command("backtrail.fix", editor.uri("stats.py"))
        assert found["found"] is True, "an edit that needs no model repairs this one"
        await editor.until(lambda: any("Found a fix" in q.message for q in editor.questions), "the offer")
        title = (await editor.actions("test_stats.py", failure))[0].title
        assert title == found["title"]
        run = failure.data["run"] if isinstance(failure.data, dict) else failure.data.run
        for number in range(9, 0, -1):  # the id of the best fix is that of the last one found
            applied = await editor.command("backtrail.applyFix", editor.uri("stats.py"), f"{run}/0/{number}")
            if applied["applied"]:
                break
        assert editor.texts[editor.uri("stats.py")] != STATS
        editor.save("stats.py")
        await editor.clean("test_stats.py")


async def test_consent_can_be_changed_by_a_command_and_by_the_terminal(project: Path, data: Path) -> None:
    async with editing(project, data) as editor:
        editor.open("stats.py")
        assert await editor.command("backtrail.consent", str(project), "never") == {
            "root": str(project),
            "answer": "never",
        }
        editor.save("stats.py")
        assert "do not allow" in await editor.lens_saying("stats.py", "Not run")
        command = (sys.executable, "-m", "backtrail_server", "trust", str(project), "always")
        env = {"BACKTRAIL_DATA": str(data)}
        terminal = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.DEVNULL)
        assert await terminal.wait() == 0
        editor.save("stats.py")
        await editor.failure("test_stats.py")
        assert editor.questions == []


async def test_on_a_loopback_port_the_server_serves_one_editor(project: Path) -> None:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = (sys.executable, "-m", "backtrail_server", "serve", "--tcp", str(port))
    server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    for _ in range(200):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        except OSError:
            await asyncio.sleep(0.05)
    answers = b""
    for body, answer in (
        (b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}', b'"serverInfo"'),
        (b'{"jsonrpc":"2.0","id":2,"method":"shutdown"}', b'"id": 2'),
    ):
        writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        while answer not in answers:
            answers += await asyncio.wait_for(reader.read(65536), 20)
    writer.write(b'Content-Length: 33\r\n\r\n{"jsonrpc":"2.0","method":"exit"}')
    assert await asyncio.wait_for(server.wait(), 20) == 0
    assert server.stdout is not None and await server.stdout.read() == b""


@pytest.mark.parametrize("name", ["hover", "inlay_hint", "code_lens", "code_action"])
async def test_a_document_of_which_nothing_is_known_is_answered_at_once(
    project: Path, data: Path, name: str
) -> None:
    async with editing(project, data) as editor:
        editor.open("stats.py")
        everywhere = types.Range(types.Position(0, 0), types.Position(9, 0))
        asked = {
            "hover": editor.hover("stats.py", "to^tal = 0"),
            "inlay_hint": editor.hints("stats.py"),
            "code_lens": editor.lenses("stats.py"),
            "code_action": editor.actions("stats.py", types.Diagnostic(everywhere, "")),
        }
        assert not await asked.pop(name)
        for other in asked.values():
            other.close()
