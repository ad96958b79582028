"""The whole story in a real Neovim: what a person sees, from the save to the fix that passes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.editors import neovim
from tests.editors.conftest import FIXED
from tests.scripted_host import ScriptedHost, knows

pytestmark = pytest.mark.editor

EXPLANATION = "The list has two items, so index 2 is one too far."


def settings(**more: Any) -> dict[str, Any]:
    return {"python": sys.executable, **more}


def questions(host: ScriptedHost) -> list[str]:
    """What the host was asked, of a hole the text before it."""
    bodies = [request.body for request in host.requests]
    said = [body["messages"][-1]["content"] for body in bodies if body.get("messages")]
    return [*said, *(str(body["prompt"]) for body in bodies if body.get("prompt"))]


def test_from_a_save_to_a_fix_that_passes(nvim: str, trusted: Path, environ: dict[str, str]) -> None:
    with ScriptedHost(fill=knows(FIXED), reply=lambda messages: EXPLANATION) as host:
        model = {"baseUrl": host.url, "token": host.token}
        seen = neovim.run(nvim, "save_to_fix", trusted, environ, settings(model=model))

    assert "IndexError" in seen["diagnostic"]["message"]
    assert seen["diagnostic"]["line"].strip() == "latest = hours[len(hours)]"
    assert seen["diagnostic"]["source"] == "backtrail"
    assert "['06:00', '07:00']" in seen["hover"]
    assert any("['06:00', '07:00']" in hint for hint in seen["hints"])
    assert EXPLANATION in seen["explanation"]

    assert any("1 passed, 1 failed" in lens for lens in seen["lenses"])
    assert {"Trace again", "Explain", "Fix"} <= set(seen["lenses"])

    assert "2/2" in seen["fix"]["title"]
    assert any("passes 2/2 tests" in question for question in seen["asked"])
    assert (seen["fix"]["kind"], seen["fix"]["preferred"]) == ("quickfix", True)
    assert seen["edited"] == FIXED.splitlines()
    assert (trusted / "readings.py").read_text() == FIXED
    assert any(question in seen["prompt"] for question in questions(host)), seen["prompt"]
    assert any("2 passed" in lens for lens in seen["lenses_after"])
    passed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=trusted, timeout=60, check=False
    )
    assert passed.returncode == 0


def test_nothing_runs_before_the_person_said_yes(nvim: str, project: Path, environ: dict[str, str]) -> None:
    with (project / "readings.py").open("a") as module:
        module.write('\n\nwith open("ran.txt", "w") as file:\n    file.write("yes")\n')
    allowed = {"allow": [f"write:{project / 'ran.txt'}"]}
    seen = neovim.run(nvim, "asked_first", project, environ, settings(guard=allowed))
    assert seen["ran_before"] is False
    assert (project / "ran.txt").read_text() == "yes"
    assert str(project) in seen["question"]
    assert sys.executable in seen["question"]
    assert seen["answers"] == ["Always for this workspace", "Only when I ask", "Never"]


def test_commands_and_health(nvim: str, trusted: Path, environ: dict[str, str]) -> None:
    seen = neovim.run(nvim, "commands", trusted, environ, settings())
    assert seen["completion"] == ["compare", "debug", "explain", "fix", "prompt", "status", "trace", "why"]
    assert seen["narrowed"] == ["status"]
    assert any("checkhealth" in message for message in seen["notified"])
    assert any('no command "nonsense"' in message for message in seen["notified"])

    assert "no server runs" in seen["health_before"]
    assert "not enabled" not in seen["health_after"]
    assert f"running for {trusted}" in seen["health_after"]
    for report in (seen["status"], seen["health_after"]):
        assert sys.executable in report
        assert "host" in report
    assert seen["window"] == " Title "
    assert seen["windows_left"] == 1


def test_the_failed_program_is_handed_to_a_debugger(
    nvim: str, trusted: Path, environ: dict[str, str]
) -> None:
    limits = {"wallSeconds": 60, "cpuSeconds": 60}
    seen = neovim.run(nvim, "debug", trusted, environ, settings(limits=limits))
    told = re.search(r"at (127\.0\.0\.1):(\d+); its `attach` needs token = \"(\w+)\"", seen["told"])
    assert told, seen["told"]
    assert seen["adapter"] == {"type": "server", "host": told[1], "port": int(told[2])}
    assert (seen["ran"]["request"], seen["ran"]["token"]) == ("attach", told[3])
