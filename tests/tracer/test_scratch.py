"""What a killed server leaves behind: its scratch folders, which hold values of a person's program."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from backtrail_tracer.sandbox import scratch_folder, sweep

posix = sys.platform != "win32"
pytestmark = pytest.mark.skipif(not posix, reason="Windows has no lock that ends with a process")

HOLDER = """
import sys
from backtrail_tracer.sandbox import scratch_folder
with scratch_folder() as folder:
    (folder / "log").write_text("the person's values")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def aged(folder: Path) -> Path:
    """As if it had been made an hour ago."""
    os.utime(folder, (time.time() - 3600,) * 2)
    return folder


@pytest.fixture
def holder():
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        process.kill()


def test_the_folder_of_a_killed_process_is_removed_by_the_next(holder: subprocess.Popen[str]) -> None:
    assert holder.stdout is not None
    folder = aged(Path(holder.stdout.readline().strip()))
    sweep()
    assert (folder / "log").exists(), "its process lives"
    holder.kill()
    holder.wait(20)
    sweep()
    assert not folder.exists()


def test_a_run_that_goes_on_keeps_its_folder() -> None:
    with scratch_folder() as folder:
        aged(folder)
        sweep()
        assert folder.exists()
    assert not folder.exists()


def test_what_is_new_or_not_ours_to_remove_is_left_alone(tmp_path: Path) -> None:
    new = tmp_path / "backtrail-run-new"
    other = tmp_path / "something-else"
    elsewhere = tmp_path / "elsewhere"
    link = tmp_path / "backtrail-run-link"
    for folder in (new, other, elsewhere):
        folder.mkdir()
    link.symlink_to(elsewhere)
    aged(other)
    aged(elsewhere)
    sweep()
    assert all(folder.exists() for folder in (new, other, elsewhere, link))
