"""The main job with nothing made up: the real program, the real 1.5B model, the fix it really found."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from lsprotocol import types

from backtrail_model import weights
from tests.server.editor import VSCODE, editing

pytestmark = [pytest.mark.model, pytest.mark.big, pytest.mark.timeout(900)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "readings"


@pytest.fixture(scope="module", autouse=True)
def weights_at_hand() -> None:
    """Fetched and converted once; the stories then find them in the cache, as a person's second run does."""
    from backtrail_model import weights

    weights.prepare("qwen2.5-coder-1.5b")


@pytest.fixture
def example(tmp_path: Path) -> Path:
    root = tmp_path / "readings"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    return root


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Notes and consent of these tests are not the developer's; the weights are."""
    return {"BACKTRAIL_STATE": str(tmp_path / "state"), "BACKTRAIL_DATA": str(tmp_path / "data")}


def passes(root: Path) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(root)]
    return subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == 0


def test_the_terminal_explains_and_fixes_the_example(example: Path, environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "backtrail_server", "fix", str(example), "--python", sys.executable]
    before = (example / "readings.py").read_text()
    done = subprocess.run(
        [*command, "--json", "--apply"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["trace"]["failures"][0]["type"] == "IndexError"
    assert document["explanation"], document["notes"]
    fix = document["fix"]
    assert fix["preferred"] is True and "passes 4/4 tests" in fix["title"]
    assert [item["outcome"] for item in fix["items"]] == ["passed"] * 4
    assert any("warmest_stretch" in prompt for prompt in document["prompts"]), "what the model saw is told"
    after = (example / "readings.py").read_text()
    assert after != before and document["applied"] is True
    assert passes(example)


async def test_an_editor_starts_the_host_and_gets_a_fix(
    example: Path, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    options = {"python": sys.executable, "model": {"autoStart": True}, "fix": {"budgetSeconds": 120}}
    models = {"BACKTRAIL_CACHE": str(weights.cache_folder().parent)}  # the weights are fetched once only
    async with editing(example, tmp_path / "data", name=VSCODE, options=options, env=models) as editor:
        editor.open("readings.py")
        editor.open("test_readings.py")
        editor.save("readings.py")
        failure = await editor.failure("readings.py")
        assert failure.code == "IndexError"
        hover = await editor.hover("readings.py", "[warm^est + width]")
        assert hover is not None and "2" in hover
        found = await editor.command("backtrail.fix", editor.uri("readings.py"), 0)
        assert found["found"] is True, found
        children = editor.children()
        assert any("host" in child.cmdline() for child in children), "the server started a host of its own"
        actions = await editor.actions("readings.py", failure)
        action = next(action for action in actions if "passes 4/4 tests" in action.title)
        assert action.kind == types.CodeActionKind.QuickFix and action.is_preferred is True
        resolved = await editor.client.code_action_resolve_async(action)
        assert resolved.edit is not None
        editor.apply(resolved.edit)
        editor.save("readings.py")
        await editor.clean("readings.py")
        assert await editor.lens_saying("readings.py", "4 passed")
    assert passes(example)
    assert not psutil.wait_procs(children, timeout=60)[1], "the host goes with its server"
