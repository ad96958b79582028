"""`backtrail fix` with a scripted host: what it writes, keeps, and says of the model's claims."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from backtrail_model.tune.kept import Kept
from backtrail_model.tune.triples import read
from tests.scripted_host import ScriptedHost, knows
from tests.server.conftest import STATS, TEST_STATS, make_project

FIXED = STATS.replace("len(values) + 1", "len(values)")
ONE_TEST = "from stats import mean\n\n\ndef test_mean():\n    assert mean([1, 2, 3]) == 2\n"
SAID = """The test expected 2 but got 1.5.
because L5#1: total = 6
because L5#1: total = 7
wrong: line 5 should divide by the number of values."""


def start(root: Path, host: ScriptedHost, tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    note = {"url": host.url, "token": host.token, "pid": os.getpid(), "model": host.model, "version": "1"}
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "host.json").write_text(json.dumps(note))  # as a running host leaves it
    command = [sys.executable, "-m", "backtrail_server", "fix", str(root / "stats.py"), *arguments]
    ours = {name: str(tmp_path / "data") for name in ("BACKTRAIL_DATA", "BACKTRAIL_STATE", "BACKTRAIL_CACHE")}
    environ = {**os.environ, **ours, "COLUMNS": "160"}
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def fix(root: Path, host: ScriptedHost, tmp_path: Path, *arguments: str) -> tuple[int, str]:
    with start(root, host, tmp_path, *arguments) as running:
        told, _ = running.communicate(timeout=120)
    return running.returncode, told


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project", {"stats.py": STATS, "test_stats.py": TEST_STATS})


def test_a_fix_that_is_applied_is_written_and_kept_when_asked_to(root: Path, tmp_path: Path) -> None:
    with ScriptedHost(fill=knows(FIXED)) as host:
        code, told = fix(root, host, tmp_path, "--apply", "--keep", "--no-explanation", "--json")
    assert code == 0 and json.loads(told)["applied"] is True
    text = (root / "stats.py").read_text()
    assert text != STATS
    (triple,) = read(Kept(tmp_path / "data").path)
    assert "len(values) + 1" in triple.program and triple.fix.strip() in text
    assert "mean([1, 2, 3])" in triple.facts


@pytest.mark.parametrize("arguments", [("--apply",), ("--keep",)])
def test_nothing_is_kept_that_was_not_both_applied_and_asked_for(
    root: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with ScriptedHost(fill=knows(FIXED)) as host:
        code, _ = fix(root, host, tmp_path, *arguments, "--no-explanation", "--json")
    assert code == 0
    assert ((root / "stats.py").read_text() == STATS) == ("--apply" not in arguments)
    assert not Kept(tmp_path / "data").path.exists()


def test_claims_are_counted_and_guesses_are_called_so(root: Path, tmp_path: Path) -> None:
    with ScriptedHost(fill=knows(FIXED), reply=lambda _: SAID) as host:
        _, told = fix(root, host, tmp_path, "--json")
        document: dict[str, Any] = json.loads(told)
        _, shown = fix(root, host, tmp_path)
    assert [claim["standing"] for claim in document["claims"]] == ["checked", "cited", "guess"]
    assert document["dropped_sentences"] == 1 and "total was 6" in document["dropped"][0]
    assert document["guessed_sentences"] == 1
    words = " ".join(shown.split())
    assert "The model's guess of what is wrong: line 5 should divide by the number of values." in words
    assert "1 claim of the model that the trace does not bear out left out" in words
    assert "1 that the trace cannot tell marked as the model's guess" in words
    assert "total = 7" not in words


@pytest.mark.skipif(sys.platform == "win32", reason="a test cannot send Ctrl-C to one process there")
def test_ctrl_c_ends_the_search_and_shows_what_it_found(root: Path, tmp_path: Path) -> None:
    asked, over = threading.Event(), threading.Event()

    def fill(before: str, after: str) -> str:
        """The model is asked for a second opinion once an edit has passed, and never answers."""
        asked.set()
        over.wait(60)
        return ""

    (root / "test_stats.py").write_text(ONE_TEST)
    with ScriptedHost(fill=fill, reply=lambda _: fill("", "")) as host:
        with start(root, host, tmp_path, "--no-explanation", "--json", "--budget", "60") as running:
            assert asked.wait(60)
            time.sleep(2)  # the fix may have been run a moment after the question went out
            running.send_signal(signal.SIGINT)
            began = time.monotonic()
            told, troubles = running.communicate(timeout=30)
        over.set()
    assert time.monotonic() - began < 10
    document = json.loads(told)
    assert running.returncode == 0 and document["fix"]["title"].startswith("passes 1/1"), troubles
    assert any("Stopped before the search had ended" in note for note in document["notes"])
