"""The note by which a host is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backtrail_model import hostfile
from backtrail_model.hostfile import HostNote


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BACKTRAIL_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def note(pid: int) -> HostNote:
    return HostNote(url="http://127.0.0.1:1", token="secret", pid=pid, model="m", version="0")


def test_what_is_written_is_read(state: Path) -> None:
    assert hostfile.read() is None
    hostfile.write(note(os.getpid()))
    assert hostfile.read() == note(os.getpid())
    assert [path.name for path in state.iterdir()] == ["host.json"]


@pytest.mark.skipif(os.name == "nt", reason="modes are a matter of POSIX")
def test_only_the_user_can_read_the_token() -> None:
    hostfile.write(note(os.getpid()))
    assert hostfile.path().stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be asked for without ending it")
def test_the_note_of_a_process_that_is_gone_is_not_read() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    hostfile.write(note(process.pid))
    assert hostfile.read() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": "x"}', '{"url": 1, "token": 1, "pid": "p"}'])
def test_an_unreadable_note_is_none(state: Path, text: str) -> None:
    state.mkdir()
    hostfile.path().write_text(text)
    assert hostfile.read() is None


def test_only_the_own_note_is_removed() -> None:
    hostfile.write(note(os.getpid()))
    hostfile.remove(os.getpid() + 1)
    assert hostfile.read() is not None
    hostfile.remove(os.getpid())
    assert not hostfile.path().exists()
    hostfile.remove(os.getpid())
