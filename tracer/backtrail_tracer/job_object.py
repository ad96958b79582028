"""Windows' Job Object: the kernel keeps the limits of a whole tree of processes, and ends it with us.

Imported on Windows only, and only by `program.py`. A job is closed by the system when our process goes,
however it goes, and with KILL_ON_JOB_CLOSE every process in it ends then. Children belong to the job of
their parent and cannot leave it.

Source: "Job Objects" and JOBOBJECT_EXTENDED_LIMIT_INFORMATION in Microsoft's Win32 reference.
"""

from __future__ import annotations

import ctypes
from ctypes import c_int64, c_size_t, c_uint32, c_uint64, c_void_p, sizeof
from typing import Any

from attrs import define

from backtrail_probe.wire import ProcessLimits

CREATE_SUSPENDED = 0x4

KILL_ON_JOB_CLOSE = 0x2000
DIE_ON_UNHANDLED_EXCEPTION = 0x400  # a crash ends the process instead of asking the person
ACTIVE_PROCESS = 0x8
JOB_MEMORY = 0x200
_EXTENDED_LIMIT_INFORMATION = 9
_SET_QUOTA_AND_TERMINATE = 0x0100 | 0x0001


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("PerProcessUserTimeLimit", c_int64),
        ("PerJobUserTimeLimit", c_int64),
        ("LimitFlags", c_uint32),
        ("MinimumWorkingSetSize", c_size_t),
        ("MaximumWorkingSetSize", c_size_t),
        ("ActiveProcessLimit", c_uint32),
        ("Affinity", c_size_t),
        ("PriorityClass", c_uint32),
        ("SchedulingClass", c_uint32),
    )


class _IoCounters(ctypes.Structure):
    _fields_ = tuple((name, c_uint64) for name in ("r", "w", "o", "rb", "wb", "ob"))


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION: 144 bytes on a 64-bit system."""

    _fields_ = (
        ("Basic", _BasicLimits),
        ("IoInfo", _IoCounters),
        ("ProcessMemoryLimit", c_size_t),
        ("JobMemoryLimit", c_size_t),
        ("PeakProcessMemoryUsed", c_size_t),
        ("PeakJobMemoryUsed", c_size_t),
    )


def limits_of(limits: ProcessLimits | None) -> ExtendedLimits:
    """What the kernel is asked to keep. A limit of 0 is no limit; wall and CPU time are watched by us."""
    asked = ExtendedLimits()
    asked.Basic.LimitFlags = KILL_ON_JOB_CLOSE | DIE_ON_UNHANDLED_EXCEPTION
    if limits is not None and limits.processes:
        asked.Basic.LimitFlags |= ACTIVE_PROCESS
        asked.Basic.ActiveProcessLimit = limits.processes
    if limits is not None and limits.memory_bytes:
        asked.Basic.LimitFlags |= JOB_MEMORY
        asked.JobMemoryLimit = limits.memory_bytes
    return asked


@define
class Job:
    """One job. `kernel32` is the library; tests give another. `close` is safe to call twice."""

    _kernel32: Any
    _handle: int

    @staticmethod
    def create(limits: ProcessLimits | None, kernel32: Any = None) -> Job:
        """Raises OSError when the system refuses."""
        library = kernel32 or _kernel32()
        handle = library.CreateJobObjectW(None, None)
        if not handle:
            raise OSError(_last_error(), "a job object cannot be made")
        job, asked = Job(library, handle), limits_of(limits)
        about = ctypes.byref(asked), sizeof(asked)
        if not library.SetInformationJobObject(handle, _EXTENDED_LIMIT_INFORMATION, *about):
            job.close()
            raise OSError(_last_error(), "the limits of a job object cannot be set")
        return job

    def take(self, pid: int) -> None:
        """Puts a process into the job, best before it has run: started with CREATE_SUSPENDED. OSError."""
        process = self._kernel32.OpenProcess(_SET_QUOTA_AND_TERMINATE, False, pid)
        if not process:
            raise OSError(_last_error(), f"process {pid} cannot be opened")
        try:
            if not self._kernel32.AssignProcessToJobObject(self._handle, process):
                raise OSError(_last_error(), f"process {pid} cannot be put into a job object")
        finally:
            self._kernel32.CloseHandle(process)

    def close(self) -> None:
        """Ends every process of the job in one step, which a fork bomb cannot outrun."""
        handle, self._handle = self._handle, 0
        if handle:
            self._kernel32.CloseHandle(handle)


def _kernel32() -> Any:
    library = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    library.CreateJobObjectW.restype = c_void_p
    library.OpenProcess.restype = c_void_p
    library.CreateJobObjectW.argtypes = (c_void_p, c_void_p)
    library.OpenProcess.argtypes = (c_uint32, c_uint32, c_uint32)
    library.SetInformationJobObject.argtypes = (c_void_p, c_uint32, c_void_p, c_uint32)
    library.AssignProcessToJobObject.argtypes = (c_void_p, c_void_p)
    library.CloseHandle.argtypes = (c_void_p,)
    return library


def _last_error() -> int:
    return int(getattr(ctypes, "get_last_error", int)())
