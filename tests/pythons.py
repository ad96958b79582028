"""The Python interpreters that tests can use, found rather than named.

`BACKTRAIL_TEST_PYTHONS` (paths, separated like PATH) adds to what pyenv and PATH offer. A version
that cannot be had is not tested, and `missing()` says which.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

WANTED = ((3, 9), (3, 10), (3, 11), (3, 12), (3, 13), (3, 14))


def _version(path: str) -> tuple[int, int] | None:
    ask = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run([path, "-c", ask], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor = done.stdout.split()
    return int(major), int(minor)


def _candidates() -> list[str]:
    listed = os.environ.get("BACKTRAIL_TEST_PYTHONS", "").split(os.pathsep)
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    pyenv = [str(path) for path in sorted(root.glob("3.*/bin/python"))]
    on_path = [shutil.which(f"python3.{minor}") or "" for _, minor in WANTED]
    return [path for path in (*listed, sys.executable, *pyenv, *on_path) if path and Path(path).exists()]


@functools.cache
def found() -> dict[tuple[int, int], str]:
    """Version -> path of an interpreter of that version; always holds the running one."""
    table: dict[tuple[int, int], str] = {}
    for path in _candidates():
        version = _version(path)
        if version in WANTED:
            table.setdefault(version, path)
    return table


def missing() -> list[str]:
    return [f"{major}.{minor}" for major, minor in WANTED if (major, minor) not in found()]


def newest() -> str:
    return found()[max(found())]


def monitoring() -> str | None:
    """An interpreter that has sys.monitoring (3.12 and newer), or None."""
    return next((path for version, path in sorted(found().items()) if version >= (3, 12)), None)


def settrace() -> str | None:
    """An interpreter that has no sys.monitoring (3.11 and older), or None."""
    return next((path for version, path in sorted(found().items(), reverse=True) if version < (3, 12)), None)
