"""The processes of one run: the program, its children, and those that tried to get away.

A child is known by its parent, by the process group, and, when it left both (a daemon does), by a mark
in the environment it was started with.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import psutil
from attrs import define, field

_ROUNDS = 50
"""How often a tree is looked through again while killing it: a fork bomb races with us."""


def _children_of(pid: int) -> list[int]:
    """Direct children, from /proc: psutil would read the whole process table for each question."""
    found: list[int] = []
    try:
        for task in os.scandir(f"/proc/{pid}/task"):
            found += map(int, Path(task.path, "children").read_bytes().split())
    except OSError:
        pass
    return found


_HAS_CHILDREN_FILE = Path(f"/proc/self/task/{os.getpid()}/children").exists()


def _direct_children(pid: int) -> list[int]:
    if _HAS_CHILDREN_FILE:
        return _children_of(pid)
    try:
        return sorted(child.pid for child in psutil.Process(pid).children())
    except psutil.Error:
        return []


def _descendants(process: psutil.Process) -> list[int]:
    if not _HAS_CHILDREN_FILE:
        try:
            return [child.pid for child in process.children(recursive=True)]
        except psutil.Error:
            return []
    found: list[int] = []
    queue = [process.pid]
    while queue and len(found) < 10_000:
        children = _children_of(queue.pop())
        found += children
        queue += children
    return found


def _is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


@define
class Tree:
    """Everything that was started by the process `pid`, which leads a group of its own."""

    MARK = "BACKTRAIL_RUN"

    pid: int
    mark: str
    _root: psutil.Process | None
    _since: float  # by the clock of psutil's create_time
    layers: int = 0  # so many processes of a sandbox stand above the program, each with one child
    _seen: dict[int, psutil.Process] = field(factory=dict)

    @staticmethod
    def of(pid: int, mark: str, layers: int = 0) -> Tree:
        try:
            root = psutil.Process(pid)
            return Tree(pid, mark, root, root.create_time() - 0.1, layers)
        except psutil.Error:
            return Tree(pid, mark, None, 0.0, layers)  # it has ended already, its children perhaps not

    @staticmethod
    def marked(mark: str) -> Tree:
        """What carries the mark, of a program whose number is not known: only `sweep` finds something."""
        return Tree(0, mark, None, 0.0)

    def alive(self) -> list[psutil.Process]:
        """The running processes of the tree, also those whose parent has ended since they were seen."""
        root = [] if self._root is None or _is_gone(self._root) else [self._root]
        for parent in [*root, *self._seen.values()]:
            for pid in _descendants(parent):
                self._remember(pid)
        self._seen = {pid: process for pid, process in self._seen.items() if not _is_gone(process)}
        return [*root, *self._seen.values()]

    def programs(self) -> list[psutil.Process]:
        """`alive` without the processes of the sandbox: what the person's limits are about."""
        alive = self.alive()
        if not self.layers:
            return alive
        sandbox = self._chain()[: self.layers]
        return [process for process in alive if process.pid not in sandbox]

    def children(self) -> list[psutil.Process]:
        """`alive` without the sandbox and without the program that was started itself."""
        chain = self._chain()
        return [process for process in self.alive() if process.pid not in chain]

    @property
    def program(self) -> int:
        """The pid of the program itself, which a sandbox stands above."""
        return self._chain()[-1]

    def _chain(self) -> list[int]:
        """The pids from the root down to the program; shorter while the sandbox is being made."""
        chain = [self.pid]
        for _ in range(self.layers):
            # The first child is the oldest one; orphans that the sandbox takes over come after it.
            chain += _direct_children(chain[-1])[:1]
        return chain

    def _remember(self, pid: int) -> None:
        if pid not in self._seen:
            try:
                self._seen[pid] = psutil.Process(pid)
            except psutil.Error:
                pass

    def kill(self) -> None:
        """Kills group and tree, at once and without asking; takes a millisecond or two."""
        for _ in range(_ROUNDS):
            self._kill_group()
            alive = self.alive()
            for process in alive:
                _kill(process)
            if not alive:
                return
            time.sleep(0.001)

    def sweep(self) -> None:
        """Kills what left both tree and group, until a look finds none: one that forks may have done so since
        the look began. Looks at every process of the system: call it in a thread."""
        for _ in range(_ROUNDS):
            ours = [process for process in psutil.process_iter() if self._is_ours(process)]
            for process in ours:
                _kill(process)
            if not ours:
                return

    def _kill_group(self) -> None:
        # The group is killed in one step by the kernel, which a fork bomb cannot outrun. Once the root
        # has been reaped its number may belong to somebody else, and `sweep` finds the group instead.
        if sys.platform != "win32" and self._root is not None and self._root.is_running():
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.create_time() < self._since or process.status() == psutil.STATUS_ZOMBIE:
                return False
            return self._is_in_group(process) or process.environ().get(self.MARK) == self.mark
        except (psutil.Error, OSError):
            return False

    def _is_in_group(self, process: psutil.Process) -> bool:
        return sys.platform != "win32" and os.getpgid(process.pid) == self.pid and self._since > 0


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.Error:
        pass
