"""What a warm worker imports before it forks, told without running anything.

It is what stays the same from candidate to candidate: pytest, its plugins, and what the tests import
from outside the workspace.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Mapping
from pathlib import Path

from backtrail_probe.wire import PYTEST
from backtrail_tracer.entries import Entry
from backtrail_tracer.workspace import Workspace

_MOST = 60
_SITE = ("lib/python3*/site-packages", "lib/python3*/dist-packages", "Lib/site-packages")


def preloaded(entry: Entry, root: Path, interpreter: Path, environ: Mapping[str, str]) -> list[str]:
    """Names of modules, the runner's first.

    A name that the workspace has too is left out, since a candidate may change what it means.
    """
    workspace = Workspace.scan(root)
    own = {path.stem for path in workspace.files} | {
        parent.name for path in workspace.files for parent in path.relative_to(root).parents
    }
    modules = [*_runner(entry, interpreter, environ), *_imported(entry, workspace)]
    foreign = [name for name in modules if name.split(".", maxsplit=1)[0] not in own]
    return list(dict.fromkeys(foreign))[:_MOST]


def _runner(entry: Entry, interpreter: Path, environ: Mapping[str, str]) -> list[str]:
    if entry.kind != PYTEST:
        return []
    if environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        return ["pytest"]
    return ["pytest", *plugins_of(interpreter)]


def plugins_of(interpreter: Path) -> list[str]:
    """The modules of the plugins that pytest will load by itself, from the installed packages' files,
    and the packages that came with these, since some plugins import theirs only when a session ends.

    Importing them can take a second, which every candidate would pay.
    """
    prefix = interpreter.parent.parent
    found: list[str] = []
    for place in _SITE:
        for file in sorted(prefix.glob(f"{place}/*.dist-info/entry_points.txt")):
            modules = list(_entry_points(file))
            found += [*modules, *(_packages(file.with_name("RECORD")) if modules else ())]
    return list(dict.fromkeys(found))


def _packages(record: Path) -> list[str]:
    try:
        lines = record.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    names = [line.split("/__init__.py,", maxsplit=1)[0] for line in lines if "/__init__.py," in line]
    return [name for name in names if name.isidentifier()]


def _entry_points(file: Path) -> Iterator[str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return
    if parser.has_section("pytest11"):
        for _, target in parser.items("pytest11"):
            yield target.split(":", maxsplit=1)[0].split("[", maxsplit=1)[0].strip()


def _imported(entry: Entry, workspace: Workspace) -> Iterator[str]:
    files = [*map(Path, entry.target), *entry.paths]
    files += [folder / "conftest.py" for folder in workspace.conftest_folders]
    for path in files:
        for each in workspace.imports_of(path):
            if not each.level:
                yield each.module
