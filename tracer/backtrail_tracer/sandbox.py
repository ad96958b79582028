"""What a run is given: a private scratch folder, an environment, and the folders to be traced."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_OURS = "BACKTRAIL_"
_NOT_TRACED = frozenset({"node_modules", "__pycache__", "site-packages", "build", "dist"})


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that only this user can enter (0700); removed with all that the program left in it."""
    folder = Path(tempfile.mkdtemp(prefix="backtrail-")).resolve()
    try:
        yield folder
    finally:
        remove(folder)


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
