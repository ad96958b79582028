"""Files that are either whole or not there: free space, checksums, a lock, and a rename at the end."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""Called with the stage ("download", "assembly", "check", "conversion", "waiting"), what is done and the
total, in bytes. A total of 0 means that it is not known."""

CHUNK = 1 << 20


class WeightsError(Exception):
    """Weights could not be had; `advice` says what to do about it."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(f"{message} {advice}")
        self.message = message
        self.advice = advice


def silent(stage: str, done: int, total: int) -> None:
    """A progress callback for those who do not watch."""


def human(size: int) -> str:
    """A size in bytes in words: 1117320768 -> '1.12 GB'."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} bytes"


def require_space(folder: Path, needed: int) -> None:
    """Raise WeightsError unless `needed` bytes are free where `folder` lies."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise _full(folder, f"{human(needed)} are needed in {folder}, and {human(free)} are free.")


def _full(folder: Path, message: str) -> WeightsError:
    return WeightsError(
        message, "Free some space, or set BACKTRAIL_CACHE to a folder on a larger disk, and start again."
    )


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """A full or read-only disk becomes a WeightsError; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(folder, f"The disk became full while writing to {folder}.") from error
        if error.errno in (errno.EACCES, errno.EROFS):
            advice = "Set BACKTRAIL_CACHE to a folder that you may write to."
            raise WeightsError(f"{folder} cannot be written to ({error.strerror}).", advice) from error
        raise


@contextmanager
def building(target: Path) -> Iterator[Path]:
    """A path beside `target` to build at; renamed to `target` when the block ends well, else removed.

    Call it under `locked(target)`: what an earlier, killed process left at the same place is removed
    first, so at most one half-built thing ever lies on the disk, and never under the final name.
    """
    with disk_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.parent / f".{target.name}.part"
        discard(part)
        try:
            yield part
            discard(target)
            part.replace(target)
        finally:
            discard(part)


def discard(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(target: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of `target` against other processes; says "waiting" while another one holds it."""
    import filelock

    with disk_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(target.parent / f".{target.name}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            progress("waiting", 0, 0)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def sha256(path: Path, progress: Progress = silent) -> str:
    """The checksum of a file in hexadecimal, with progress in the stage "check"."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress("check", done, total)
    return digest.hexdigest()
