"""`backtrail fix` with a scripted host: what it writes, keeps, and says of the model's claims."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backtrail_model.tune.kept import Kept
from backtrail_model.tune.triples import read
from tests.scripted_host import ScriptedHost, knows
from tests.server.conftest import STATS, TEST_STATS, make_project

FIXED = STATS.replace("len(values) + 1", "len(values)")
SAID = """The test expected 2 but got 1.5.
because L5#1: total = 6
because L5#1: total = 7
wrong: line 5 should divide by the number of values."""


def fix(root: Path, host: ScriptedHost, tmp_path: Path, *arguments: str) -> tuple[int, str]:
    note = {"url": host.url, "token": host.token, "pid": os.getpid(), "model": host.model, "version": "1"}
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "host.json").write_text(json.dumps(note))  # as a running host leaves it
    command = [sys.executable, "-m", "backtrail_server", "fix", str(root / "stats.py"), *arguments]
    ours = {name: str(tmp_path / "data") for name in ("BACKTRAIL_DATA", "BACKTRAIL_STATE", "BACKTRAIL_CACHE")}
    environ = {**os.environ, **ours, "COLUMNS": "160"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout


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
