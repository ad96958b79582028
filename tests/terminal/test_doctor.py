"""`backtrail doctor` says which level of safety is in force, and why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backtrail_model import hostfile
from backtrail_server.trust import TrustStore
from tests.scripted_host import ScriptedHost


def doctor(root: Path, data: Path, path: str, **environ: str) -> str:
    """What it prints, as one line."""
    done = subprocess.run(
        [sys.executable, "-m", "backtrail_server", "doctor", str(root)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "BACKTRAIL_DATA": str(data), "PATH": path, "COLUMNS": "400", **environ},
    )
    assert done.returncode in (0, 1), done.stderr
    return " ".join(done.stdout.split())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no bubblewrap to be without")
def test_without_a_sandbox_it_says_why_and_what_is_left(tmp_path: Path) -> None:
    said = doctor(tmp_path, tmp_path / "data", str(tmp_path))
    assert "guard only: bwrap is not installed" in said
    assert "ends the program with its children" in said
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: setting up uid map: denied' >&2; exit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    said = doctor(tmp_path, tmp_path / "data", str(tmp_path))
    assert "guard only: bwrap cannot make namespaces here (bwrap: setting up uid map: denied)" in said


def test_it_says_what_was_allowed_and_what_was_not(tmp_path: Path) -> None:
    root, data = tmp_path / "work", tmp_path / "data"
    root.mkdir()
    (root / "pyproject.toml").write_text("[tool.backtrail]\nguard.allow = ['subprocess']\n")
    assert "asks that its code may use subprocess" in doctor(root, data, os.environ["PATH"])
    assert "allowed:" not in doctor(root, data, os.environ["PATH"])
    TrustStore(data).remember(root, "always")
    TrustStore(data).allow(root, "network")
    said = doctor(root, data, os.environ["PATH"])
    assert "allowed: network" in said and "you allowed it: network" in said


def test_it_says_which_model_answers_where_and_why_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKTRAIL_STATE", str(tmp_path))
    with ScriptedHost() as host:
        note = {"url": host.url, "token": host.token, "pid": os.getpid(), "model": host.model, "version": "0"}
        hostfile.write(note)  # type: ignore[arg-type]
        said = doctor(tmp_path, tmp_path / "data", os.environ["PATH"], BACKTRAIL_STATE=str(tmp_path))
    assert "model host scripted-coder on cpu (written by hand)" in said
