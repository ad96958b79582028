"""Ends programs whose server is gone: a small process that holds a pipe and acts when it closes.

A server that is killed cannot clean up. Where there is no sandbox, whose first process takes everything
with it, its programs would live on: the kernel of Linux can end the program itself with its parent
(`bubblewrap.dying`), and no kernel its children. The warden is told of each program before it starts,
and reads the end of the pipe, which no death of the server can hold back. It is one process a server,
started with the first run that needs it.

What it cannot find is what the tree cannot find either: a process that has left parent, group and
environment behind (see `tree.py`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from typing import IO

from attrs import define, field

_KEPT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What an interpreter may need to start; the rest of the environment is nothing to it."""


@define(eq=False)
class Warden:
    """The server's end. Telling never fails and never waits: without a warden a run is as good as any."""

    _process: subprocess.Popen[bytes] | None = None
    _running: dict[str, int] = field(factory=dict)  # mark -> pid; 0 while it starts

    def starting(self, mark: str) -> None:
        self._running[mark] = 0
        if self._process is None or self._process.poll() is not None:
            self._start()
        else:
            self._tell(mark, 0)

    def started(self, mark: str, pid: int) -> None:
        self._running[mark] = pid
        self._tell(mark, pid)

    def ended(self, mark: str) -> None:
        if self._running.pop(mark, None) is not None:
            self._tell(mark, -1)

    def _start(self) -> None:
        """A warden that was killed is replaced, and the new one is told of all that runs."""
        environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
        command = [sys.executable, "-I", __file__]
        quiet = subprocess.DEVNULL
        try:
            # A group of its own, so that Ctrl-C in a terminal is not for it.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, env=environ,
                cwd=os.path.dirname(__file__), start_new_session=True,  # noqa: PTH120
            )  # fmt: skip
        except OSError:
            self._process = None
            return
        if self._process.stdin is not None and sys.platform != "win32":
            os.set_blocking(self._process.stdin.fileno(), False)
        for mark, pid in self._running.items():
            self._tell(mark, pid)

    def _tell(self, mark: str, pid: int) -> None:
        if self._process is not None and self._process.stdin is not None:
            try:
                os.write(self._process.stdin.fileno(), f"{mark} {pid}\n".encode())
            except OSError:
                self._process.kill()  # it reads no more; the next run starts another


@cache
def warden() -> Warden:
    """The one of this process."""
    return Warden()


def keep_watch(pipe: IO[bytes]) -> None:
    """In the warden: until the pipe closes, then ends what is still running."""
    from backtrail_tracer.tree import Tree

    trees: dict[str, Tree] = {}
    for line in pipe:
        mark, _, pid = line.decode("ascii", "replace").strip().partition(" ")
        if pid == "-1":
            trees.pop(mark, None)
        else:
            # Looked up now: later the number may belong to another process.
            trees[mark] = Tree.of(int(pid), mark) if pid != "0" else Tree.marked(mark)
    for tree in trees.values():
        tree.kill()
    for tree in trees.values():
        tree.sweep()


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120
    keep_watch(sys.stdin.buffer)
