"""Where a project begins, when nobody has said so."""

from __future__ import annotations

from pathlib import Path

_MARKS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")


def project_root(folder: Path) -> Path:
    """The nearest folder, from `folder` upwards, that looks like the top of a project; else `folder`."""
    upwards = (folder, *folder.parents)
    return next((top for top in upwards if any((top / mark).exists() for mark in _MARKS)), folder)
