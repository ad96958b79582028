"""Where the installation cannot be written to, the probe is kept compiled in the user's cache, and used."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backtrail_tracer.interpreter import LAUNCH

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="root is made to obey rights by capabilities")

_DROP, _DAC_OVERRIDE = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


def _obey_rights() -> None:
    """Root writes where it likes, unless it gives that up; for others this does nothing."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(_DROP, _DAC_OVERRIDE, 0, 0, 0)


def launch(folder: Path, home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-E", "-S", *arguments],
        env={**os.environ, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=_obey_rights,
        cwd=folder,
    )
    return done.stderr


@pytest.mark.parametrize("writable", [True, False])
def test_our_modules_are_compiled_once(tmp_path: Path, writable: bool) -> None:
    probe, home = tmp_path / "backtrail_probe", tmp_path / "home"
    shutil.copytree(LAUNCH.parent, probe, ignore=shutil.ignore_patterns("__pycache__"))
    home.mkdir()
    if not writable:
        for folder in (probe, *(path for path in probe.rglob("*") if path.is_dir())):
            folder.chmod(0o555)
    try:
        launch(tmp_path, home, str(probe / "launch.py"), "--compile")
    finally:
        for folder in (probe, *(path for path in probe.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
    beside, elsewhere = list(probe.rglob("*.pyc")), list((home / ".cache").rglob("*.pyc"))
    modules = {path.stem for path in probe.rglob("*.py")}
    kept, empty = (beside, elsewhere) if writable else (elsewhere, beside)
    assert {path.name.partition(".")[0] for path in kept} == modules
    assert empty == []
