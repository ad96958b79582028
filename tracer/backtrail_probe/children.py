"""Child processes of the program: none is recorded, and the trace says so when one is started.

A forked child goes on under the guard, since it is a copy of the process. A Python that is started afresh
(`subprocess`, and `multiprocessing` where it spawns) knows nothing of the probe.
"""

from __future__ import annotations

import os
import sys

from .log import Log
from .statics import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Set

FORKED, FRESH = "forked children", "fresh children"

_SPAWNING = frozenset(
    f"multiprocessing.popen_{kind}" for kind in ("spawn_posix", "spawn_win32", "forkserver")
)
"""Imported by `multiprocessing` when it starts its first process in this way; no audit event tells of it."""

_basename, _fsdecode, _own = os.path.basename, os.fsdecode, sys.executable


class Children:
    """Tells of each way of starting children once."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._told: "Set[str]" = set()

    def handlers(self) -> "Dict[str, Callable[[str, Any], None]]":
        """Audit event -> what to call with it and its arguments."""
        return {
            "import": self._imported,
            "subprocess.Popen": lambda event, args: self._started(args[1] or args[0]),
            "os.posix_spawn": lambda event, args: self._started(args[1] or args[0]),
            "os.spawn": lambda event, args: self._started(args[2] or args[1]),
        }

    def forked(self) -> None:
        self._tell(FORKED)

    def _imported(self, event: str, args: Any) -> None:
        if args[0] in _SPAWNING:
            self._tell(FRESH)

    def _started(self, command: Any) -> None:
        if _is_python(command):
            self._tell(FRESH)

    def _tell(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._log.note(f'["limit",{quote(what)},0,{self._log.now()}]\n')


def _is_python(command: Any) -> bool:
    """By the name of what is run: `python3.11`, `/usr/bin/python`, `pypy3`; of a shell command, any word."""
    first = command[0] if isinstance(command, (list, tuple)) and command else command
    if not isinstance(first, (str, bytes)):
        return False
    text = _fsdecode(first)
    return text == _own or any(_basename(word).startswith(("python", "pypy")) for word in text.split())
