"""What a run is given: a private scratch folder, an environment, and the folders to be traced."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_OURS = "BACKTRAIL_"
_PREFIX = "backtrail-run-"
_YOUNG_S = 60.0  # a folder this new may not be held yet
_NOT_TRACED = frozenset({"node_modules", "__pycache__", "site-packages", "build", "dist"})


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that only this user can enter (0700); removed with all that the program left in it.

    It holds values of the person's program, so what a server that was killed has left is removed by the
    next one, as soon as that one runs something.
    """
    _sweep_once()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
    held = _hold(folder)
    try:
        yield folder
    finally:
        remove(folder)
        if held is not None:
            os.close(held)


def _hold(folder: Path) -> int | None:
    """A lock on the folder that ends with this process, however it ends; None where there is no such lock.

    A process number would not do: another container may share the folder and count processes anew.
    """
    if fcntl is None:
        return None
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


@cache
def _sweep_once() -> None:
    threading.Thread(target=sweep, name="sweep", daemon=True).start()


def sweep() -> None:
    """Remove this user's scratch folders that nobody holds. Windows has no such lock, and keeps them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            about = folder.lstat()
            ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()
            held = _hold(folder) if ours and time.time() - about.st_mtime > _YOUNG_S else None
        except (OSError, AttributeError):  # gone meanwhile, or a system without users
            continue
        if held is not None:
            remove(folder)
            os.close(held)


def remove(folder: Path) -> None:
    def open_up(_function: object, path: str, _error: object) -> None:
        # The program may have taken away the rights that removing its files needs.
        for place in (os.path.dirname(path), path):  # noqa: PTH120
            try:
                os.chmod(place, 0o700)  # noqa: PTH101
            except OSError:
                pass
        try:
            os.unlink(path)  # noqa: PTH108
        except OSError:
            pass

    shutil.rmtree(folder, onerror=open_up)
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


def environment(environ: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The person's environment without our own variables, with temporary files in the scratch folder.

    No bytecode is written, since a candidate's would be left beside the user's files. PYTHONUNBUFFERED
    is not set: a program that prints much would run several times slower than it does for the person.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith(_OURS)}
    temporary = scratch / "tmp"
    temporary.mkdir(mode=0o700, exist_ok=True)
    return {
        **kept,
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def excluded(root: Path, interpreter: Path) -> list[str]:
    """Folders of the workspace that hold other people's code; two levels are looked at."""
    found = [str(folder) for folder in _excluded_in(root, 2)]
    home = interpreter.parent.parent
    if root in home.parents and str(home) not in found:
        found.append(str(home))
    return found


def _excluded_in(folder: Path, depth: int) -> Iterator[Path]:
    try:
        inside = [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for path in inside:
        if path.name in _NOT_TRACED or path.name.startswith(".") or (path / "pyvenv.cfg").is_file():
            yield path
        elif depth > 1:
            yield from _excluded_in(path, depth - 1)
