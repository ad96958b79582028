"""Where a program is when it is ended: asked of itself, since the caps may have left its last lines out.

The probe has `faulthandler` write the stacks of all threads when it is asked, and at a fatal signal.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from backtrail_probe.wire import ASKED, WHERE

Place = tuple[Path, int]

_ANSWER_S = 0.05
"""A process that is not scheduled within it, or is stopped, cannot answer."""

_MOST_BYTES = 256 * 1024
_FATAL = "Fatal Python error: "
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in ')


def ask(pid: int, log: Path) -> None:
    """Has the program write its stacks, and waits for them; waits in vain for at most some hundredths of
    a second. A program that has not come to where it listens would die of the question: it is not asked."""
    path = _path(log)
    before = _size(path)
    if not ASKED or before is None:
        return
    try:
        os.kill(pid, ASKED)
    except OSError:
        return
    end = time.monotonic() + _ANSWER_S
    while time.monotonic() < end and _size(path) == before:
        time.sleep(0.001)


def place(log: Path, stderr: str, cwd: Path, is_users: Callable[[Path], bool]) -> Place | None:
    """The innermost line of the user's in what the program wrote; None when it wrote nothing of the kind.

    pytest writes the stacks of a fatal signal to stderr. The main thread comes first, then the others.
    """
    said = _read(_path(log)) or stderr[-_MOST_BYTES:].rpartition(_FATAL)[2] * (_FATAL in stderr)
    for stack in sorted(_stacks(said), key=lambda lines: not lines[0].startswith("Current thread")):
        for path, line in _frames(stack):
            if is_users(cwd / path):
                return cwd / path, line
    return None


def _stacks(said: str) -> Iterator[list[str]]:
    for block in re.split(r"(?m)^(?=(?:Current thread|Thread) 0x)", said):
        if block.startswith(("Current thread", "Thread")):
            yield block.splitlines()


def _frames(stack: list[str]) -> Iterator[tuple[str, int]]:
    """Innermost first."""
    for text in stack:
        if found := _FRAME.match(text):
            yield _unescaped(found[1]), int(found[2])


def _unescaped(name: str) -> str:
    """`faulthandler` writes what is not ASCII as Python would escape it, and leaves backslashes alone."""
    return re.sub(
        r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))",
        lambda found: chr(int(found[1] or found[2] or found[3], 16)),
        name,
    )


def _path(log: Path) -> Path:
    return log.with_name(log.name + WHERE)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _read(path: Path) -> str:
    """The last answer, if there are several."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
