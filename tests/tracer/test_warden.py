"""What ends programs whose server is gone: the warden everywhere, the Job Object on Windows."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from backtrail_probe.wire import ProcessLimits
from backtrail_tracer import job_object
from backtrail_tracer.job_object import ExtendedLimits, Job, limits_of
from backtrail_tracer.tree import Tree
from backtrail_tracer.warden import Warden
from tests.tracer.conftest import marked

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has the Job Object for it")

SLEEPER = r"""
import os, sys, time
if os.fork() == 0:
    os.setsid()
os.write(1, b"awake\n")  # one call: two processes write
time.sleep(100)
"""


def start(folder: Path, mark: str) -> subprocess.Popen[bytes]:
    """A program that is not ours by birth, with a child in a session of its own."""
    program = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(folder)],
        env={**os.environ, Tree.MARK: mark},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert program.stdout is not None
    assert [program.stdout.readline() for _ in range(2)] == [b"awake\n"] * 2
    return program


def guarded(folder: Path) -> tuple[Warden, str, subprocess.Popen[bytes]]:
    """A program whose start the warden was told of, but not yet its process id."""
    warden, mark = Warden(), uuid.uuid4().hex
    warden.starting(mark)
    return warden, mark, start(folder, mark)


def until_gone(folder: Path) -> bool:
    deadline = time.monotonic() + 20
    while marked(str(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not marked(str(folder))


def close(warden: Warden) -> None:
    """What the system does when the server dies."""
    process = warden._process
    assert process is not None and process.stdin is not None
    process.stdin.close()
    process.wait(30)


@posix
def test_what_runs_when_the_pipe_closes_is_ended_with_its_children(tmp_path: Path) -> None:
    warden, mark, program = guarded(tmp_path)
    warden.started(mark, program.pid)
    close(warden)
    program.wait(20)
    assert until_gone(tmp_path)


@posix
def test_a_program_that_was_just_being_started_is_ended_too(tmp_path: Path) -> None:
    warden, _, program = guarded(tmp_path)
    close(warden)
    program.wait(20)
    assert until_gone(tmp_path)


@posix
def test_what_has_ended_is_nobody_s_business(tmp_path: Path) -> None:
    """The number of a program that has ended may belong to another process by now."""
    warden, mark, program = guarded(tmp_path)
    warden.started(mark, program.pid)
    warden.ended(mark)
    close(warden)
    assert program.poll() is None
    os.killpg(program.pid, signal.SIGKILL)
    program.wait(20)
    for each in marked(str(tmp_path)):
        each.kill()
    assert until_gone(tmp_path)


@posix
def test_a_warden_that_was_killed_is_replaced_and_told_of_all_that_runs(tmp_path: Path) -> None:
    warden, mark, program = guarded(tmp_path)
    warden.started(mark, program.pid)
    assert warden._process is not None
    warden._process.kill()
    warden._process.wait(20)
    warden.ended("one that never was")
    warden.starting("another")
    close(warden)
    program.wait(20)
    assert until_gone(tmp_path)


class Kernel:
    """Stands for kernel32; `refuses` names the call that fails."""

    def __init__(self, refuses: str = "") -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.refuses = refuses

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.calls.append((name, arguments))
            handles = {"CreateJobObjectW": 11, "OpenProcess": 22}
            return 0 if name == self.refuses else handles.get(name, 1)

        return call

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    @property
    def closed(self) -> list[int]:
        return [arguments[0] for name, arguments in self.calls if name == "CloseHandle"]


def test_a_job_has_the_layout_that_windows_expects() -> None:
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        pytest.skip("the figures are those of a 64-bit system")
    assert ctypes.sizeof(ExtendedLimits) == 144
    assert ExtendedLimits.JobMemoryLimit.offset == 120


def test_a_job_keeps_the_limits_of_the_tree_and_ends_it_with_us() -> None:
    asked = limits_of(ProcessLimits(processes=7, memory_bytes=1000))
    assert asked.Basic.LimitFlags & job_object.KILL_ON_JOB_CLOSE
    assert asked.Basic.LimitFlags & job_object.ACTIVE_PROCESS and asked.Basic.ActiveProcessLimit == 7
    assert asked.Basic.LimitFlags & job_object.JOB_MEMORY and asked.JobMemoryLimit == 1000
    free = limits_of(ProcessLimits(processes=0, memory_bytes=0))
    assert not free.Basic.LimitFlags & (job_object.ACTIVE_PROCESS | job_object.JOB_MEMORY)


def test_a_process_is_put_into_the_job_and_every_handle_is_closed_once() -> None:
    kernel = Kernel()
    job = Job.create(ProcessLimits(), kernel)
    job.take(4321)
    assert ("AssignProcessToJobObject", (11, 22)) in kernel.calls
    job.close()
    job.close()
    assert kernel.closed == [22, 11]


@pytest.mark.parametrize(
    "refuses", ["CreateJobObjectW", "SetInformationJobObject", "OpenProcess", "AssignProcessToJobObject"]
)
def test_what_windows_refuses_is_an_error_and_leaves_no_handle(refuses: str) -> None:
    kernel = Kernel(refuses)
    with pytest.raises(OSError):
        job = Job.create(ProcessLimits(), kernel)
        try:
            job.take(4321)
        finally:
            job.close()
    opened = {"CreateJobObjectW": [], "SetInformationJobObject": [11], "OpenProcess": [11]}
    assert sorted(kernel.closed) == opened.get(refuses, [11, 22])
