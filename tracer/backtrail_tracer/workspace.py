"""The Python files of a workspace and what they import, told without importing anything.

Whole workspaces are looked through on save, so a file is read once for each of its versions: what it
imports is remembered by path, size and time of change.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path

from attrs import define, field, frozen

_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "build", "dist", "venv", "env"})
_MOST_FILES = 20_000
_MOST_BYTES = 1_000_000

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]*(\((?:#[^\n]*|[^)#])*\)|(?:[^\n\\]|\\\n)*)"
    r"|import[ \t]+((?:[^\n\\]|\\\n)*))",
    re.MULTILINE,
)


@frozen
class Import:
    """`import module` (no names) or `from module import names`; `level` counts the leading dots."""

    module: str
    names: tuple[str, ...]
    level: int


@define
class Workspace:
    """A look at the files below `root` at one moment."""

    root: Path
    truncated: bool = False
    _files: dict[Path, os.stat_result] = field(factory=dict)

    @staticmethod
    def scan(root: Path) -> Workspace:
        """Leaves out hidden folders, environments, builds, and files of more than 1 MB."""
        workspace = Workspace(root)
        for path, about in _walk(root):
            if len(workspace._files) >= _MOST_FILES:
                workspace.truncated = True
                break
            workspace._files[path] = about
        return workspace

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(self._files)

    def has(self, path: Path) -> bool:
        return path in self._files

    def imports_of(self, path: Path) -> tuple[Import, ...]:
        """What a file imports, by its text alone; () for one that cannot be read."""
        about = self._files.get(path)
        return _imports(path, about.st_mtime_ns, about.st_size) if about else ()

    @cached_property
    def conftest_folders(self) -> frozenset[Path]:
        return frozenset(path.parent for path in self._files if path.name == "conftest.py")

    def package_root(self, folder: Path) -> Path:
        """The first folder upwards that is no package: what must be on sys.path to import from it."""
        while folder != self.root and self.has(folder / "__init__.py"):
            folder = folder.parent
        return folder


def _walk(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Files in a stable order, those near the root first."""
    level = [str(root)]
    while level:
        below: list[str] = []
        for folder in level:
            folders, files = _list(folder)
            below += folders
            yield from files
        level = below


def _list(folder: str) -> tuple[list[str], list[tuple[Path, os.stat_result]]]:
    folders: list[str] = []
    files: list[tuple[Path, os.stat_result]] = []
    try:
        inside = sorted(os.scandir(folder), key=lambda entry: entry.name)
        if any(entry.name == "pyvenv.cfg" for entry in inside):
            return [], []
        for entry in inside:
            if entry.is_dir(follow_symlinks=False):
                if not (
                    entry.name.startswith(".") or entry.name in _SKIPPED or entry.name.endswith(".egg-info")
                ):
                    folders.append(entry.path)
            elif entry.name.endswith(".py") and entry.is_file():
                about = entry.stat()
                if about.st_size <= _MOST_BYTES:
                    files.append((Path(entry.path), about))
    except OSError:
        pass  # a folder that cannot be read has nothing to run
    return folders, files


@lru_cache(maxsize=50_000)
def _imports(path: Path, _changed_ns: int, _size: int) -> tuple[Import, ...]:
    # A pattern finds the few statements; parsing whole files would take ten times as long.
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    found: list[Import] = []
    for match in _IMPORT.finditer(text):
        found += _statement(match.group().strip())
    return tuple(found)


def _statement(text: str) -> list[Import]:
    try:
        node = ast.parse(text).body[0]
    except (SyntaxError, ValueError, IndexError, RecursionError):
        return []
    if isinstance(node, ast.Import):
        return [Import(alias.name, (), 0) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [Import(node.module or "", tuple(alias.name for alias in node.names), node.level)]
    return []
