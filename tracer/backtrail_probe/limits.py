"""Limits that the process puts on itself, where the system has them. The tracer watches from outside
as well, and does what is missing here."""

from __future__ import annotations

from .log import RESERVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .wire import ProcessLimits


def apply_limits(limits: ProcessLimits) -> None:
    """CPU seconds, and no core files. A limit that is already lower stays."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _lower(resource, resource.RLIMIT_CORE, 0)
    if limits.cpu_s > 0:
        _lower(resource, resource.RLIMIT_CPU, int(limits.cpu_s) + 1)


def limit_files(limits: ProcessLimits, log_bytes: int) -> None:
    """No file gets larger, but for the log: a test that prints without end fills the runner's file of
    captured output, which nobody outside sees. The program gets an OSError, "File too large"."""
    try:
        import resource
    except ImportError:  # Windows
        return
    if limits.file_bytes > 0:
        _lower(resource, resource.RLIMIT_FSIZE, max(limits.file_bytes, 2 * RESERVE, log_bytes))


def lift_limits() -> None:
    """The CPU limit is for the program, not for the debugger that looks at it afterwards."""
    try:
        import resource
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))


def _lower(resource: "object", which: int, value: int) -> None:
    getrlimit, setrlimit = resource.getrlimit, resource.setrlimit  # type: ignore[attr-defined]
    _, hard = getrlimit(which)
    if hard != -1 and hard < value:
        return
    try:
        setrlimit(which, (value, hard))
    except (OSError, ValueError):
        pass
