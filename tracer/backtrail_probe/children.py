"""Child processes of the program that run Python: each is recorded in a log of its own.

A forked child is a copy of the process, and goes on with all that was put in place, the guard too. It only
takes a new log (`start.py`). A Python that is started afresh (`subprocess`, and `multiprocessing` where it
spawns) finds us by its environment: PYTHONPATH leads it to `site/sitecustomize.py`, and CHILD_OF to the run
specification that it belongs to; the program can see both in its own environment. Where the environment or
the flags of a child keep it from that, the trace says so.
"""

from __future__ import annotations

import os
import sys

from .constants import CHILD_ITEM, CHILD_OF, CHILDREN, MOST_CHILDREN
from .log import Log
from .statics import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set

FORKED, FRESH = "forked children", "fresh children"

SITE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "site")

_SPAWNING = frozenset(
    f"multiprocessing.popen_{kind}" for kind in ("spawn_posix", "spawn_win32", "forkserver")
)
"""Imported by `multiprocessing` when it starts its first process in this way; no audit event tells of it."""

_KEEP_OUT = frozenset("IES")
"""Flags of the interpreter: isolated, without its environment, without `site`."""

# A program may mock `os`.
_basename, _fsdecode, _join, _own = os.path.basename, os.fsdecode, os.path.join, sys.executable
_open, _close, _mkdir, _environ = os.open, os.close, os.mkdir, os.environ
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL


class Children:
    """Invites them, finds their logs a place, and tells of those that were not reached."""

    def __init__(self, log: Log, path: str) -> None:
        """`path` is that of the program's own log."""
        self._log = log
        self._path = path
        self._recorded = self._invited = False  # forked ones; and those that are started afresh
        self._told: "Set[str]" = set()
        self.item = 0  # the one that began last

    def invite(self, spec: str) -> None:
        """Has children recorded from here on; a Python finds the run specification at this path."""
        before = _environ.get("PYTHONPATH")
        folders = before.split(os.pathsep) if before else []
        _environ["PYTHONPATH"] = os.pathsep.join((SITE, *(each for each in folders if each != SITE)))
        _environ[CHILD_OF] = os.path.abspath(spec)
        self._recorded, self._invited = True, not _keeps_out_itself()

    def note_item(self, item: int) -> None:
        self.item = item
        if self._invited:
            _environ[CHILD_ITEM] = str(item)

    def place(self) -> "Optional[str]":
        """In a forked child: as `place_for`, None when children are not recorded."""
        return place_for(self._path) if self._recorded else None

    def handlers(self) -> "Dict[str, Callable[[str, Any], None]]":
        """Audit event -> what to call with it and its arguments."""
        return {
            "import": self._imported,
            "subprocess.Popen": lambda event, args: self._started(args[1] or args[0], args[3]),
            "os.posix_spawn": lambda event, args: self._started(args[1] or args[0], args[2]),
            "os.spawn": lambda event, args: self._started(args[2] or args[1], args[3]),
            "os.exec": lambda event, args: self._started(args[1] or args[0], args[2]),
        }

    def forked(self) -> None:
        """In the parent."""
        if not self._recorded:
            self._tell(FORKED)

    def _imported(self, event: str, args: Any) -> None:
        if args[0] in _SPAWNING and not self._invited:
            self._tell(FRESH)

    def _started(self, command: Any, environ: Any) -> None:
        if _is_python(command) and not (self._invited and _leads_here(environ) and not _keeps_out(command)):
            self._tell(FRESH)

    def _tell(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._log.note(f'["limit",{quote(what)},0,{self._log.now()}]\n')


def place_for(path: str) -> "Optional[str]":
    """The path of a child's log beside that of the program, where an empty file is now. None when there are
    too many."""
    folder = path + CHILDREN
    try:
        _mkdir(folder, 0o700)
    except OSError:
        pass  # it is there, or the next step fails
    for number in range(1, MOST_CHILDREN + 1):
        place = _join(folder, str(number))
        try:
            _close(_open(place, _NEW, 0o600))
        except FileExistsError:
            continue
        except OSError:
            return None
        return place
    return None


def _is_python(command: Any) -> bool:
    """By the name of what is run: `python3.11`, `/usr/bin/python`, `pypy3`; of a shell command, any word."""
    words = _first_words(command)
    return bool(words) and (
        words[0] == _own or any(_basename(word).startswith(("python", "pypy")) for word in words)
    )


def _first_words(command: Any) -> "List[str]":
    first = command[0] if isinstance(command, (list, tuple)) and command else command
    if not isinstance(first, (str, bytes)):
        return []
    text = _fsdecode(first)
    return [text] if text == _own else text.split()


def _leads_here(environ: Any) -> bool:
    """Whether an environment (None: the program's own) has what a child finds us by."""
    try:
        held = _environ if environ is None else {_text(name): _text(environ[name]) for name in environ}
        return CHILD_OF in held and SITE in held.get("PYTHONPATH", "").split(os.pathsep)
    except (TypeError, KeyError, ValueError, AttributeError):
        return False


def _text(thing: Any) -> str:
    return _fsdecode(thing) if isinstance(thing, (str, bytes)) else ""


def _keeps_out(command: Any) -> bool:
    """Whether a flag before the script does."""
    words = command[1:] if isinstance(command, (list, tuple)) else _text(command).split()[1:]
    for word in map(_text, words):
        if word[:1] != "-" or word[1:2] in ("", "c", "m"):
            return False
        if word[:2] != "--" and _KEEP_OUT & set(word[1:].partition("c")[0]):
            return True
    return False


def _keeps_out_itself() -> bool:
    """Children of `multiprocessing` get the flags of the program."""
    return bool(sys.flags.isolated or sys.flags.ignore_environment or sys.flags.no_site)
