"""The note by which a running model host is found: its address, token and process.

The host writes it once it is ready; clients read it. Standard library and platformdirs only, so that
both sides of the wire can import it.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TypedDict

import platformdirs


class HostNote(TypedDict):
    """What a client needs: `url` is the base address without a path, `pid` the process of the host."""

    url: str
    token: str
    pid: int
    model: str
    version: str


def path() -> Path:
    """Where the note lies; the folder can be set by the environment variable BACKTRAIL_STATE."""
    folder = os.environ.get("BACKTRAIL_STATE") or platformdirs.user_state_path("backtrail")
    return Path(folder) / "host.json"


def write(note: HostNote) -> None:
    """Replace the note in one step, readable by this user only."""
    target = path()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # mkstemp makes the file with mode 0600, so the token is never readable by others, not even briefly.
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".host-", suffix=".json")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(note, file)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read() -> HostNote | None:
    """The note of a host that still runs, or None: no note, an unreadable one, or a process that is gone."""
    try:
        data = json.loads(path().read_text(encoding="utf-8"))
        note = HostNote(
            url=str(data["url"]),
            token=str(data["token"]),
            pid=int(data["pid"]),
            model=str(data["model"]),
            version=str(data["version"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return note if _alive(note["pid"]) else None


def remove(pid: int) -> None:
    """Take the note away if it is still that of process `pid`; another host's note stays."""
    try:
        if json.loads(path().read_text(encoding="utf-8")).get("pid") == pid:
            path().unlink()
    except (OSError, ValueError, AttributeError):
        return


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    if os.name == "nt":
        # On Windows os.kill(pid, 0) would end the process, so the host's own answer has to tell.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
