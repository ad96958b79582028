"""What a warm worker imports beforehand, told from files alone."""

from __future__ import annotations

from pathlib import Path

from backtrail_tracer.entries import Entry
from backtrail_tracer.preload import plugins_of, preloaded
from tests.tracer.trees import write

SITE = ".venv/lib/python3.12/site-packages"
INSTALLED = {
    ".venv/bin/python": "",
    f"{SITE}/good-1.dist-info/entry_points.txt": "[pytest11]\ngood = good.plugin:Plugin\nm = good_more [x]\n",
    f"{SITE}/good-1.dist-info/RECORD": "good/__init__.py,,\ngood/deep/__init__.py,,\n../../bin/x,,\n",
    f"{SITE}/other-1.dist-info/entry_points.txt": "[console_scripts]\nother = other:main\n",
    f"{SITE}/other-1.dist-info/RECORD": "other/__init__.py,,\n",
    f"{SITE}/broken-1.dist-info/entry_points.txt": "pytest11 = nonsense\n",
}
TEST = "import numpy.linalg, stats\nfrom . import near\nfrom requests import get\n"


def entry_of(root: Path, kind: str = "pytest") -> Entry:
    return Entry("e", kind, (str(root / "test_stats.py"),), (), root, "", "", (root / "stats.py",))


def test_plugins_and_their_packages(tmp_path: Path) -> None:
    write(tmp_path, INSTALLED)
    assert plugins_of(tmp_path / ".venv/bin/python") == ["good.plugin", "good_more", "good"]
    assert plugins_of(tmp_path / "nowhere/bin/python") == []


def test_what_the_tests_import_from_outside(tmp_path: Path) -> None:
    root = write(tmp_path, {**INSTALLED, "test_stats.py": TEST, "stats.py": "import os.path\n"})
    python = root / ".venv/bin/python"
    outside = ["numpy.linalg", "requests", "os.path"]
    assert preloaded(entry_of(root), root, python, {}) == [
        "pytest",
        "good.plugin",
        "good_more",
        "good",
        *outside,
    ]
    quiet = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    assert preloaded(entry_of(root), root, python, quiet) == ["pytest", *outside]
    assert preloaded(entry_of(root, "doctest"), root, python, {}) == outside


def test_a_name_that_the_workspace_has_too_is_left_to_the_candidate(tmp_path: Path) -> None:
    root = write(tmp_path, {"test_stats.py": TEST, "stats.py": "", "requests/__init__.py": ""})
    assert preloaded(entry_of(root), root, root / "python", {}) == ["pytest", "numpy.linalg"]
