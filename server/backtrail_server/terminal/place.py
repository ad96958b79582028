"""Where a command works: the project around a path, its settings, its interpreter, and what to run."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve, frozen

from backtrail_probe import wire
from backtrail_server import config
from backtrail_server.allowing import with_allowances
from backtrail_server.roots import project_root
from backtrail_server.settings import Settings
from backtrail_server.tracing import TracerTracing
from backtrail_server.trust import TrustStore
from backtrail_tracer.entries import Entry, NoEntry
from backtrail_tracer.importers import is_test_name
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.workspace import Workspace


class NothingToRun(Exception):
    """No entry fits the path; the message says why and what to do."""


@frozen
class Place:
    root: Path
    settings: Settings
    problems: tuple[str, ...]  # what was wrong with the settings
    interpreter: Interpreter
    entry: Entry


def find(path: Path, python: str | None) -> Place:
    """Raises NothingToRun when nothing fits the path, InterpreterError when there is no Python for it."""
    path = path.resolve()
    if not path.exists():
        raise NothingToRun(f"{path} does not exist")
    folder = path if path.is_dir() else path.parent
    root = project_root(folder)
    loaded = config.load_project(folder, root)
    settings, refused = consented(root, loaded)
    tracing = TracerTracing()
    interpreter = tracing.choose(root, _from_here(python) or settings.python)
    return Place(
        root=root,
        settings=settings,
        problems=(*loaded.problems, *refused),
        interpreter=evolve(interpreter, reason="python from --python") if python else interpreter,
        entry=_of_folder(path, root) if path.is_dir() else _of_file(tracing, path, root, settings),
    )


def _from_here(python: str | None) -> str | None:
    """What is typed in a terminal is meant from the folder one stands in; a setting, from the project's."""
    if python is None or not Path(python).expanduser().exists():
        return python
    return str(Path(python).expanduser().absolute())


def consented(root: Path, loaded: config.Loaded) -> tuple[Settings, tuple[str, ...]]:
    """The settings with what the person allowed for the workspace, and without the side effects that the
    repository asks for and the person has not agreed to."""
    asked = loaded.project_allow
    consent = TrustStore().of(root)
    allowed = consent.allowed if consent else ()
    if not asked or (consent is not None and consent.covers(asked)):
        return with_allowances(loaded.settings, allowed), ()
    words = f"{root} asks that its code may use {', '.join(asked)}; to allow it: backtrail trust {root}"
    settings = evolve(loaded.settings, guard=evolve(loaded.settings.guard, allow=()))
    return with_allowances(settings, allowed), (words,)


def _of_file(tracing: TracerTracing, path: Path, root: Path, settings: Settings) -> Entry:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NothingToRun(f"{path} cannot be read: {error}") from error
    found = tracing.discover(path, root, settings.entries, (), text)
    if isinstance(found, NoEntry):
        raise NothingToRun(f"{found.reason.rstrip('.')}. {found.advice}")
    return found[0]


def _of_folder(path: Path, root: Path) -> Entry:
    tests = sorted(file for file in Workspace.scan(path).files if is_test_name(file.name))
    if not tests:
        raise NothingToRun(f"{path} holds no test_*.py file; name a Python file, or add a test")
    name = path.relative_to(root).as_posix() if path != root else path.name
    files = "1 test file" if len(tests) == 1 else f"{len(tests)} test files"
    return Entry(
        id=f"pytest:{name}",
        kind=wire.PYTEST,
        target=(str(path),),
        args=(),
        cwd=root,
        label=f"pytest {name}",
        reason=f"you named the folder, which holds {files}",
        paths=tuple(tests),
    )
