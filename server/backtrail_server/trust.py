"""Consent: whether code of a workspace may run, asked once and remembered outside the repository.

Answers are kept in trust.json in the user's data folder (BACKTRAIL_DATA names another), by the real
path of the workspace. The file is read again for every question, so `backtrail trust` in a terminal
and a second server are heard at once; writers take turns and replace the file whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from attrs import frozen

Answer = Literal["always", "ask", "never"]
ANSWERS: tuple[Answer, ...] = ("always", "ask", "never")

VERSION = 1
_STALE_LOCK_S = 10.0  # a writer holds the lock for milliseconds: an older one was left by a crash
_LOCK_WAIT_S = 5.0


@frozen
class Consent:
    """What the person answered for a workspace, and which of the repository's allowances that covered."""

    answer: Answer
    when: str  # ISO 8601, UTC
    allow: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()  # what the person let this workspace do by "Allow …"

    def covers(self, allow: tuple[str, ...]) -> bool:
        """Whether the repository asks for no side effect beyond what the person saw."""
        return set(allow) <= set(self.allow)


def data_folder() -> Path:
    if named := os.environ.get("BACKTRAIL_DATA"):
        return Path(named)
    import platformdirs

    return platformdirs.user_data_path("backtrail")


class TrustStore:
    """The remembered answers. A damaged file is no consent, and is kept beside the new one."""

    def __init__(self, folder: Path | None = None) -> None:
        self.file = (folder or data_folder()) / "trust.json"

    def of(self, root: Path) -> Consent | None:
        """The answer for a workspace, or None when the person has not answered."""
        entry = self._read().get(_key(root))
        if not isinstance(entry, dict) or entry.get("answer") not in ANSWERS:
            return None
        allow = tuple(str(item) for item in entry.get("allow", ()))
        when = str(entry.get("when", ""))
        return Consent(cast("Answer", entry["answer"]), when, allow, _allowed(entry))

    def allowed(self, root: Path) -> tuple[str, ...]:
        """What the person let code of this workspace do beyond the guard; nothing without a consent."""
        consent = self.of(root)
        return consent.allowed if consent else ()

    def allow(self, root: Path, text: str) -> None:
        """Let code of a workspace do one more thing. Raises OSError when it cannot be kept."""
        with self._changing(root) as entry:
            entry["allowed"] = sorted({*_allowed(entry), text})

    def forget(self, root: Path) -> None:
        """Take back all that was allowed; the answer stays. Raises OSError when it cannot be kept."""
        with self._changing(root) as entry:
            entry.pop("allowed", None)

    def answer(self, root: Path) -> Answer | None:
        consent = self.of(root)
        return consent.answer if consent else None

    def remember(self, root: Path, answer: Answer, allow: tuple[str, ...] = ()) -> Consent:
        """Keep an answer. Raises OSError when the folder cannot be written."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        with self._changing(root) as entry:
            entry.update(answer=answer, when=when, allow=list(allow))
            return Consent(answer, when, allow, _allowed(entry))

    @contextlib.contextmanager
    def _changing(self, root: Path) -> Iterator[dict[str, Any]]:
        """The entry of a workspace, to be changed; nobody else writes meanwhile."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self._turn():
            entries = self._read()
            entry = entries.get(_key(root))
            entries[_key(root)] = entry = entry if isinstance(entry, dict) else {}
            yield entry
            self._write(entries)

    def _read(self) -> dict[str, Any]:
        try:
            data = json.loads(self.file.read_text(encoding="utf-8"))
            return dict(data["workspaces"]) if data["version"] == VERSION else {}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError):
            with contextlib.suppress(OSError):
                self.file.replace(self.file.with_suffix(".damaged"))
            return {}

    def _write(self, entries: dict[str, Any]) -> None:
        fresh = self.file.with_name(f"trust.{os.getpid()}.tmp")
        fresh.write_text(json.dumps({"version": VERSION, "workspaces": entries}, indent=1), encoding="utf-8")
        fresh.replace(self.file)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the lock file. It is made exclusively, which works on every system and file system."""
        lock, begun = self.file.with_suffix(".lock"), time.monotonic()
        while not _make(lock):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - lock.stat().st_mtime > _STALE_LOCK_S:
                    lock.unlink()
            if time.monotonic() - begun > _LOCK_WAIT_S:
                raise TimeoutError(f"{lock} is held by another process; remove it if none is running")
            time.sleep(0.005)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _make(lock: Path) -> bool:
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


def _allowed(entry: dict[str, Any]) -> tuple[str, ...]:
    given = entry.get("allowed")
    return tuple(str(item) for item in given) if isinstance(given, list) else ()


def _key(root: Path) -> str:
    return os.path.realpath(root)


def question(root: Path, label: str, interpreter: Path, allow: tuple[str, ...]) -> str:
    """What the person is asked: what will run, with what, where, and what it may do beyond."""
    text = (
        f"Backtrail would like to run code of this workspace when you save: {label} with {interpreter}, "
        f"in {root}."
    )
    if allow:
        text += f" The project asks that its code may also use: {', '.join(allow)}."
    return f"{text} Only say yes if you trust this code."
