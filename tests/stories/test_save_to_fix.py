"""The whole story, as VS Code and as Neovim: open, save, diagnostics, hover, hints, lenses, fix, save."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsprotocol import types

from tests.scripted_host import TOKEN, ScriptedHost, knows
from tests.server.conftest import make_project
from tests.server.editor import NEOVIM, VSCODE, Editor, editing

# The mistake is not one that the edits without a model know: the fix has to come from the host.
BILL = '''\
def rebate(amount):
    return 0 if amount < 100 else 5


def total(prices, voucher):
    """😀 The price of everything."""
    amount = 0
    for price in prices:
        amount = price + voucher
    return amount - rebate(amount)
'''
FIXED = BILL.replace("amount = price + voucher", "amount += price - voucher / len(prices)")

TEST_BILL = """\
from bill import rebate, total


def test_total():
    label = "😀"; assert total([60, 50, 40], 30) == 115, label


def test_rebate():
    assert rebate(10) == 0
"""


def bill(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project", {"bill.py": BILL, "test_bill.py": TEST_BILL})


def host_options(host: ScriptedHost) -> dict[str, object]:
    return {"model": {"baseUrl": f"{host.url}/v1", "token": TOKEN}, "fix": {"budgetSeconds": 40}}


@pytest.mark.parametrize("name", [VSCODE, NEOVIM])
async def test_from_a_save_to_a_fix_that_makes_the_file_pass(tmp_path: Path, name: str) -> None:
    root = bill(tmp_path)
    with ScriptedHost(fill=knows(FIXED), reply=lambda _: "It adds the voucher.") as host:
        async with editing(root, tmp_path / "data", name=name, options=host_options(host)) as editor:
            editor.open("bill.py")
            editor.open("test_bill.py")
            editor.save("bill.py")
            failure = await the_failure_is_shown(editor)
            await the_values_are_shown(editor)
            await the_lenses_say_what_ran(editor)
            await the_failure_is_explained(editor)
            await the_fix_is_found_and_applied(editor, failure)
        asked = host.asked("/v1/completions") + host.asked("/v1/chat/completions")
        assert asked, "the fix is to come from the host"
    assert (root / "bill.py").read_text(encoding="utf-8") == FIXED
    assert (root / "test_bill.py").read_text(encoding="utf-8") == TEST_BILL


async def the_failure_is_shown(editor: Editor) -> types.Diagnostic:
    failure = await editor.failure("test_bill.py")
    assert failure.source == "backtrail" and failure.code == "AssertionError"
    assert failure.severity == types.DiagnosticSeverity.Error
    # The character before the assertion is two units wide in VS Code's UTF-16, four in Neovim's UTF-8.
    assert failure.range.start == editor.place("test_bill.py", "^assert total")
    assert "expected 115" in failure.message and "actual   70" in failure.message
    related = failure.related_information or ()
    assert [info.location.range.start.line for info in related] == [4]
    assert "label = '😀'" in related[0].message
    await editor.clean_or_never("bill.py")
    return failure


async def the_values_are_shown(editor: Editor) -> None:
    hover = await editor.hover("bill.py", "am^ount = price")
    assert hover is not None
    for part in ("`amount`", "`int`", "90  # first", "70  # last, of 3", "pytest test_bill.py"):
        assert part in hover
    assert "old" not in hover
    assert await editor.hover("bill.py", "The pr^ice of") is None
    hints = await editor.hints("bill.py")
    assert hints[7] == "amount = 0" and hints[9] == "amount = 70"
    assert set(editor.refreshed) <= {types.WORKSPACE_INLAY_HINT_REFRESH, types.WORKSPACE_CODE_LENS_REFRESH}
    if editor.name == VSCODE:
        assert types.WORKSPACE_CODE_LENS_REFRESH in editor.refreshed


async def the_lenses_say_what_ran(editor: Editor) -> None:
    assert await editor.lens_saying("bill.py", r"pytest test_bill.py: 1 passed, 1 failed \d")
    lenses = {lens.command.title: lens for lens in await editor.lenses("test_bill.py") if lens.command}
    failed = next(lens for title, lens in lenses.items() if title.startswith("failed"))
    assert failed.range.start.line == 3
    assert {"Trace again", "Explain", "Fix"} <= set(lenses)
    command = lenses["Fix"].command
    assert command and command.command == "backtrail.fix"
    assert list(command.arguments or ()) == [editor.uri("test_bill.py"), 0]
    passed = next(lens for title, lens in lenses.items() if title.startswith("passed"))
    assert passed.range.start.line == 7


async def the_failure_is_explained(editor: Editor) -> None:
    told = await editor.command("backtrail.explain", editor.uri("test_bill.py"), 0)
    assert "AssertionError" in told["title"] and "It adds the voucher." in told["markdown"]
    assert "actual: 70" in told["markdown"]
    shown = editor.client.shown_documents
    assert shown and shown[-1].uri.endswith("explanation.md")
    prompt = await editor.command("backtrail.showPrompt", editor.uri("test_bill.py"))
    assert "def total" in prompt["markdown"]


async def the_fix_is_found_and_applied(editor: Editor, failure: types.Diagnostic) -> None:
    offered = [action.title for action in await editor.actions("test_bill.py", failure)]
    assert [title.split()[0] for title in offered] == ["Explain", "Fix", "Debug"]
    found = await editor.command("backtrail.fix", editor.uri("test_bill.py"), 0)
    assert found["found"] is True and "passes 2/2 tests" in found["title"], found
    await editor.until(
        lambda: any("Found a fix" in question.message for question in editor.questions), "the offer"
    )
    action = (await editor.actions("test_bill.py", failure))[0]
    assert "passes 2/2 tests" in action.title and action.kind == types.CodeActionKind.QuickFix
    assert action.is_preferred is True and action.edit is None
    assert action.diagnostics and action.diagnostics[0].message == failure.message
    resolved = await editor.client.code_action_resolve_async(action)
    assert resolved.edit is not None
    (edit,) = [edit for change in resolved.edit.document_changes or [] for edit in change.edits]  # type: ignore[union-attr]
    assert (edit.range.start.line, edit.range.end.line) == (8, 9), "only the line that changes"
    editor.apply(resolved.edit)
    assert editor.texts[editor.uri("bill.py")] == FIXED
    editor.save("bill.py")
    await editor.clean("test_bill.py")
    assert await editor.lens_saying("bill.py", "2 passed")


async def test_a_fix_is_applied_from_the_message_and_refused_for_another_text(tmp_path: Path) -> None:
    root = bill(tmp_path)
    answers = {"would like to run": "Always for this workspace", "Found a fix": "Apply"}
    with ScriptedHost(fill=knows(FIXED)) as host:
        options = host_options(host)
        async with editing(root, tmp_path / "data", options=options, answers=answers) as editor:
            editor.open("bill.py")
            editor.open("test_bill.py")
            editor.save("bill.py")
            failure = await editor.failure("test_bill.py")
            await editor.command("backtrail.fix", editor.uri("bill.py"), 0)
            await editor.until(
                lambda: editor.texts[editor.uri("bill.py")] == FIXED, "the fix in the document"
            )
            action = (await editor.actions("test_bill.py", failure))[0]
            with pytest.raises(Exception, match="was changed since the fix was run"):
                await editor.client.code_action_resolve_async(action)
            refused = await editor.command("backtrail.applyFix", editor.uri("bill.py"), action.data["offer"])
            assert refused["applied"] is False and "changed since" in refused["reason"]
    assert (root / "bill.py").read_text(encoding="utf-8") == BILL, "only the editor writes files"


async def test_a_fix_is_searched_after_a_failing_save_where_that_is_wanted(tmp_path: Path) -> None:
    root = bill(tmp_path)
    with ScriptedHost(fill=knows(FIXED)) as host:
        options = host_options(host) | {"fix": {"onFailure": "on", "budgetSeconds": 40}}
        async with editing(root, tmp_path / "data", options=options) as editor:
            editor.open("bill.py")
            editor.save("bill.py")
            await editor.until(
                lambda: any("Found a fix" in question.message for question in editor.questions), "the offer"
            )
