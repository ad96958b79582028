"""Which code is traced, and why."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Optional, Tuple

_join, _normpath, _sep = os.path.join, os.path.normpath, os.sep  # a program may mock `os`
_LIBRARY_FOLDERS = frozenset(
    ("site-packages", "dist-packages", ".venv", "venv", "__pypackages__", "node_modules", ".tox", ".nox")
)


class Disposition:
    """Whether a file is traced; `path` is its absolute path; `reason` says why not, or why."""

    __slots__ = ("path", "reason", "traced")

    def __init__(self, traced: bool, path: str, reason: str) -> None:
        self.traced = traced
        self.path = path
        self.reason = reason


class Scope:
    """Decides by `co_filename`, once for each name."""

    def __init__(self, traced: Iterable[str], excluded: Iterable[str], cwd: str, own: str) -> None:
        self._traced = tuple(_folder(path) for path in traced)
        self._excluded = tuple(_folder(path) for path in excluded)
        self._cwd = cwd
        self._own = _folder(own)
        self._known: Dict[str, Disposition] = {}

    def of(self, filename: str) -> Disposition:
        known = self._known.get(filename)
        if known is None:
            known = self._known[filename] = self._decide(filename)
        return known

    def traces(self, filename: str) -> bool:
        return self.of(filename).traced

    def _decide(self, filename: str) -> Disposition:
        if filename.startswith("<"):
            return Disposition(False, filename, "not a file")
        # Most names are absolute and tidy; the others need functions that a program may have broken.
        tidy = filename[:1] == _sep and f"{_sep}." not in filename and _sep * 2 not in filename
        path = filename if tidy else _normpath(_join(self._cwd, filename))
        home = _within(path, self._traced)
        if home is None:
            return Disposition(False, path, "outside the traced folders")
        if _within(path, (self._own,)) is not None:
            return Disposition(False, path, "the probe itself")
        outside = _within(path, self._excluded)
        if outside is not None:
            return Disposition(False, path, f"inside {outside[0]}, which is excluded")
        inner = path[len(home[0]) :].split(_sep)[:-1]
        library = next((part for part in inner if part in _LIBRARY_FOLDERS), None)
        if library is not None:
            return Disposition(False, path, f"in a {library} folder: a library")
        return Disposition(True, path, f"inside {home[0]}")


def _folder(path: str) -> Tuple[str, str]:
    path = os.path.normpath(os.path.abspath(path))
    return path, path.rstrip(os.sep) + os.sep


def _within(path: str, folders: Tuple[Tuple[str, str], ...]) -> Optional[Tuple[str, str]]:
    return next((folder for folder in folders if path == folder[0] or path.startswith(folder[1])), None)
