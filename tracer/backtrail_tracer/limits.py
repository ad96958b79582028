"""Watches what a running program uses, from outside, and says when it is too much.

Inside the process the probe sets what limits the system offers; those are per process and can be
undone by the program. These cover the whole tree of processes and cannot.
"""

from __future__ import annotations

import time
from typing import Literal

import psutil
from attrs import define, field, frozen

from backtrail_probe.wire import ProcessLimits
from backtrail_tracer.tree import Tree


@frozen
class Breach:
    """A limit that was passed, as a status and in words."""

    status: Literal["timeout", "killed"]
    message: str
    hurry: bool = field(default=False, eq=False)  # there is no time to ask the program where it is


def _megabytes(count: int) -> str:
    for size, unit in ((1024**3, "GB"), (1024**2, "MB"), (1024, "KB")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


def output_breach(limits: ProcessLimits) -> Breach:
    size = _megabytes(limits.output_bytes)
    return Breach("killed", f"ended because it printed more than {size} (limits.outputKb)")


@define
class Watch:
    """The limits of one run. `check` takes about a tenth of a millisecond a process."""

    tree: Tree
    limits: ProcessLimits
    _started: float = field(factory=time.monotonic)
    _cpu: dict[tuple[int, float], float] = field(factory=dict)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def remaining(self) -> float:
        """Seconds of wall time that are left."""
        return self.limits.wall_s - self.seconds if self.limits.wall_s else float("inf")

    def check(self) -> Breach | None:
        """The first limit that the program has passed, or None. A limit of 0 is no limit."""
        limits = self.limits
        if limits.wall_s and self.seconds >= limits.wall_s:
            return Breach("timeout", f"stopped after {limits.wall_s:g} s (limits.wallSeconds)")
        alive = self.tree.programs()
        if limits.processes and len(alive) > limits.processes:
            return Breach(
                "killed",
                f"ended because it started more than {limits.processes} processes (limits.processes)",
                hurry=True,
            )
        memory = sum(self._measure(process) for process in alive)
        if limits.memory_bytes and memory > limits.memory_bytes:
            size = _megabytes(limits.memory_bytes)
            return Breach("killed", f"ended because it used more than {size} of memory (limits.memoryMb)")
        if limits.cpu_s and self.cpu_seconds >= limits.cpu_s:
            return Breach("timeout", f"stopped after {limits.cpu_s:g} s of CPU time (limits.cpuSeconds)")
        return None

    @property
    def cpu_seconds(self) -> float:
        """Of every process that was ever seen, the ended ones too."""
        return sum(self._cpu.values())

    def _measure(self, process: psutil.Process) -> int:
        try:
            with process.oneshot():
                times = process.cpu_times()
                self._cpu[process.pid, process.create_time()] = times.user + times.system
                return int(process.memory_info().rss)
        except psutil.Error:
            return 0  # it ended just now
