"""Small projects to edit, and a place for consent that is not the developer's own."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

STATS = """\
def mean(values):
    total = 0
    for value in values:
        total += value
    return total / (len(values) + 1)


def spread(values):
    return max(values) - min(values)
"""

TEST_STATS = """\
from stats import mean, spread


def test_mean():
    assert mean([1, 2, 3]) == 2


def test_spread():
    assert spread([1, 5]) == 4
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one failing test and one that passes, run by the Python of these tests."""
    return make_project(tmp_path / "project", {"stats.py": STATS, "test_stats.py": TEST_STATS})


def make_project(root: Path, files: dict[str, str]) -> Path:
    root.mkdir()
    settings = f'[tool.backtrail]\npython = "{Path(sys.executable).as_posix()}"\n'
    for name, text in {"pyproject.toml": settings, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(dedent(text), encoding="utf-8")
    return root
