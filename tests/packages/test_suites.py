"""The tests of real packages have the same outcomes traced and untraced.

The long ones come from source distributions and want a network once; the short one is a package that is
installed with its tests.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bench.suites import SUITES, Suite, different, environment, plain, traced, unpack
from platformdirs import user_cache_path

from tests import pythons


def installed(tmp_path: Path) -> tuple[Suite, Path]:
    """attrs is always here; its own tests are not, so these are ours: they use much of what it can do."""
    found = importlib.util.find_spec("attr")
    assert found is not None and found.origin is not None
    root = tmp_path / "project"
    shutil.copytree(Path(found.origin).parent, root / "attr", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("use_of_attr.py"), root / "test_use.py")
    return Suite("attr", "0", ".", ("test_use.py",)), root


def test_a_package_that_makes_its_classes_by_exec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    suite, root = installed(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    before, after = plain(sys.executable, suite, root, scratch), traced(sys.executable, suite, root, scratch)
    assert len(before.outcomes) >= 12 and "failed" in before.outcomes.values()
    assert before.outcomes == after.outcomes, after.output


def versions() -> list[str]:
    wanted = (pythons.settrace(), pythons.newest())
    return [".".join(map(str, version)) for version, path in pythons.found().items() if path in wanted]


@pytest.mark.long
@pytest.mark.parametrize("version", versions())
@pytest.mark.timeout(1800)
def test_real_suites(tmp_path: Path, version: str) -> None:
    """Without the guard, which stops the tests that start a pager or change a file of the project."""
    python = pythons.found()[tuple(map(int, version.split(".")))]  # type: ignore[index]
    try:
        own = environment(python, tmp_path / "environment", SUITES)
        roots = [unpack(suite, user_cache_path("backtrail") / "bench", tmp_path) for suite in SUITES]
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the packages cannot be had here: {error}")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = {}
    for suite, root in zip(SUITES, roots, strict=True):
        before, after = plain(own, suite, root, scratch), traced(own, suite, root, scratch, guard=False)
        assert len(before.outcomes) > 50, before.output
        found[suite.name] = different(before, after)
    assert found == {suite.name: {} for suite in SUITES}
