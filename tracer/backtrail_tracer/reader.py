"""From a log file to a `Trace`.

The log is written by the user's process, so nothing in it is trusted: a record that makes no sense
becomes a loose end and the next one is read. Reading never raises for what a log holds.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from attrs import field, frozen

from backtrail_probe.redact import Redactor
from backtrail_probe.wire import CHILDREN, LOG_HEADER_SIZE, LOG_MAGIC, MOST_CHILDREN
from backtrail_tracer.assertions import checked
from backtrail_tracer.family import Family
from backtrail_tracer.fold import Fold
from backtrail_tracer.rings import has_rings, in_order
from backtrail_tracer.trace import Failure, Status, Trace
from backtrail_tracer.words import read_words, woven

_CHUNK = 512  # records parsed by one call: fast, and one bad record costs only its chunk a second look
_LOG_BYTES = 256 * 1024 * 1024  # the count is the program's to fake: it must not fill our memory
_BLOCK = 256 * 1024
_SOURCE_BYTES = 1_000_000
_SOURCES = 200


@frozen
class Ending:
    """How the process ended, seen from outside.

    `status` and `message` are set when it was ended by us (timeout, killed, cancelled). `exit_code` is
    negative for a signal, and None while the process lives on.
    """

    status: Status | None = None
    message: str = ""
    exit_code: int | None = None
    seconds: float = 0.0
    stdout: str = ""
    stderr: str = ""
    place: tuple[Path, int] | None = None  # where the program said that it stood


def committed(header: bytes) -> int:
    """The number of bytes of whole records that a log's header tells of; 0 for what is no header."""
    if len(header) < LOG_HEADER_SIZE or not header.startswith(LOG_MAGIC):
        return 0
    return int.from_bytes(header[len(LOG_MAGIC) : LOG_HEADER_SIZE], "little")


def read_bytes(path: Path, most: int = _LOG_BYTES) -> bytes:
    """The whole lines of a log file, with those that its words stand for; empty when there is no log."""
    try:
        with path.open("rb") as file:
            header = file.read(LOG_HEADER_SIZE)
            if not header.startswith(LOG_MAGIC):
                return b""
            told = file.read(min(committed(header), path.stat().st_size, most))
            lines = told + _untold(file, most - len(told))
    except OSError:
        return b""
    return woven(lines, read_words(path), most)


def _logs_of_children(path: Path) -> Iterator[bytes]:
    """As `read_bytes`, of the child processes in the order in which they began. Of all of them no more bytes
    than of a program: the last ones may be cut short."""
    room = _LOG_BYTES
    folder = path.with_name(path.name + CHILDREN)
    for number in range(1, MOST_CHILDREN + 1):
        log = read_bytes(folder / str(number), room)
        room -= len(log)
        if log:
            yield log


def _untold(file: BinaryIO, most: int) -> bytes:
    """The whole lines behind those that the header counts: they end at the first zero byte."""
    found = b""
    while len(found) < most:
        block = file.read(_BLOCK)
        end = block.find(b"\0")
        found += block if end < 0 else block[:end]
        if end >= 0 or not block:
            break
    return found[: found.rfind(b"\n") + 1]


def _one(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line


def records(log: bytes) -> Iterator[Any]:
    """The records of a log in order; a line that is no JSON comes back as the bytes it is."""
    lines = log.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    if has_rings(log):
        lines = in_order(lines)
    for start in range(0, len(lines), _CHUNK):
        chunk = lines[start : start + _CHUNK]
        try:
            parsed = json.loads(b"[" + b",".join(chunk) + b"]")
        except (ValueError, RecursionError):
            parsed = []
        # A line may hold a comma of its own ("1,2") and so smuggle in another record.
        yield from parsed if len(parsed) == len(chunk) else map(_one, chunk)


def read(log: bytes | Path, entry: str, ending: Ending, overlay: Mapping[Path, str] | None = None) -> Trace:
    """Folds a log (its committed lines, or its path) and the way the process ended into a `Trace`. Given the
    path, those of child processes beside it too.

    Shapes: 100,000 records fold in well under a second. Raises nothing for malformed content.
    """
    with _collection_paused():
        if isinstance(log, Path):
            family = Family(_folded(read_bytes(log)), tuple(map(_folded, _logs_of_children(log))))
        else:
            family = Family(_folded(log))
        return _assemble(family, entry, ending, overlay or {}).index()


def _folded(log: bytes) -> Fold:
    fold = Fold(rings=has_rings(log))
    for record in records(log):
        fold.add(record)
    return fold


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Hundreds of thousands of objects are made here and none goes away or makes a cycle: looking
    through them again and again would be half of the time that reading takes."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _assemble(family: Family, entry: str, ending: Ending, overlay: Mapping[Path, str]) -> Trace:
    fold = family.program
    (frames, hits), hashes = family.activity(), family.hashes()
    status, message = _outcome(fold, ending)
    sources = _sources(hashes, overlay) | _unparsed(fold.failures, hashes, overlay)
    return Trace(
        run=uuid.uuid4().hex,
        entry=entry,
        status=status,
        message=message,
        python=fold.begin_text("python"),
        recorder=fold.begin_text("recorder"),
        reason=fold.begin_text("reason"),
        started=fold.started,
        seconds=fold.end.seconds if fold.end and ending.status is None else ending.seconds,
        exit_code=_exit_code(fold, ending),
        files=hashes,
        items=tuple(fold.items()),
        frames=frames,
        hits=hits,
        failures=checked(fold.failures, frames, hits, _Texts(sources, hashes, overlay).of),
        caps=family.caps(),
        limits=family.limits(),
        side_effects=family.side_effects(),
        stdout=ending.stdout,
        stderr=ending.stderr,
        loose_ends=family.loose_ends(),
        sources=sources,
        place=ending.place,
    )


def _exit_code(fold: Fold, ending: Ending) -> int | None:
    seen, told = ending.exit_code, fold.end.exit_code if fold.end else None
    # A sandbox tells a signal by a status of 128 and more, which a program may leave with as well.
    was_status = seen is not None and told is not None and told > 128 and seen == 128 - told
    return told if seen is None or was_status else seen


def _outcome(fold: Fold, ending: Ending) -> tuple[Status, str]:
    """What is seen from outside wins: a program that had to be ended did not complete."""
    if ending.status is not None:
        return ending.status, _with_place(ending.message, ending, fold)
    if fold.end is not None:
        return fold.end.status, fold.end.message
    return "died", _with_place(_death(ending, begun=fold.begun), ending, fold)


def _with_place(message: str, ending: Ending, fold: Fold) -> str:
    place = ending.place or fold.last_place()
    return f"{message}; last line run: {place[0].name}:{place[1]}" if place else message


def _death(ending: Ending, *, begun: bool) -> str:
    code = ending.exit_code
    if not begun:
        said = ending.stderr.strip().splitlines()
        last = Redactor(os.environ).hide(said[-1])[0] if said else ""
        return f"the program could not be started (exit {code})" + (f": {last}" if last else "")
    if code is not None and code < 0:
        return f"the program was ended by signal {_signal_name(-code)}"
    return f"the program ended itself at once with exit status {code} (os._exit or a crash)"


def _signal_name(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _sources(hashes: Mapping[Path, str], overlay: Mapping[Path, str]) -> dict[Path, str]:
    """The texts that ran, so that a later edit can be told line by line.

    Only a text with the very hash that was recorded is kept: the file may have been saved meanwhile.
    """
    kept: dict[Path, str] = {}
    for path, recorded in list(hashes.items())[:_SOURCES]:
        text = overlay[path] if path in overlay else _text_of(path, recorded)
        if text is not None:
            kept[path] = text
    return kept


def _unparsed(
    failures: Sequence[Failure], hashes: Mapping[Path, str], overlay: Mapping[Path, str]
) -> dict[Path, str]:
    """The files that a SyntaxError is about: nothing of them ran, so no hash of them was recorded."""
    paths = {path for one in failures if (path := one.unparsed) is not None and path not in hashes}
    texts = {path: overlay[path] if path in overlay else _text_of(path, None) for path in sorted(paths)}
    return {path: text for path, text in texts.items() if text is not None}


def _text_of(path: Path, recorded: str | None) -> str | None:
    """The text of a file, where it has the hash that was recorded; without one, as it is now."""
    try:
        if path.stat().st_size > _SOURCE_BYTES:
            return None
        data = path.read_bytes()
        same = recorded is None or hashlib.sha256(data).hexdigest() == recorded
        return data.decode("utf-8") if same else None
    except (OSError, ValueError):
        return None


@frozen
class _Texts:
    """Where the source of a failing line is looked up. A run of a candidate records no hashes: there the
    file is read as it is, since its tests are never edited, and once for all that fail in it."""

    sources: Mapping[Path, str]
    hashes: Mapping[Path, str]
    overlay: Mapping[Path, str]
    _read: dict[Path, str | None] = field(factory=dict)

    def of(self, path: Path) -> str | None:
        if path in self.sources or path in self.hashes:
            return self.sources.get(path)
        if path in self.overlay:
            return self.overlay[path]
        if path not in self._read:
            self._read[path] = _text_of(path, None)
        return self._read[path]
