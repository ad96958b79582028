"""Candidates: an edit of one file, and when two of them are the same."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

from attrs import field, frozen

from backtrail_model.repair.source import Source
from backtrail_model.testcode import TestCode


@frozen
class Prompted:
    """What a model saw: the prompt (or the messages as text), and how it was asked."""

    proposer: str
    text: str
    options: str
    model: str = ""


@frozen
class Original:
    """The text of a file as it failed."""

    path: Path
    source: Source
    tests: TestCode = field(repr=False)
    key: str = field(repr=False)
    protected: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, path: Path, text: str, tests: TestCode) -> Original:
        """Raises SyntaxError (or ValueError for a null character) when the text does not parse."""
        return cls(path, Source(text), tests, identity(text), tests.protected(path, text))

    @property
    def text(self) -> str:
        return self.source.text


@frozen
class Candidate:
    """`text[start:end]` of the original replaced; `text` is the whole file after it.

    Two candidates with the same `key` are the same program. `promise` is a rough chance of being
    right, for the order of verification only.
    """

    path: Path
    text: str = field(repr=False)
    start: int
    end: int
    replaced: str
    replacement: str
    proposer: str
    note: str
    key: str = field(repr=False)
    promise: float = 0.0
    prompted: Prompted | None = field(default=None, repr=False)


@frozen
class Rejected:
    """Why an edit is not worth running."""

    reason: str


def identity(text: str) -> str:
    """The same for texts that differ in layout and comments only. Raises SyntaxError or ValueError."""
    try:
        dump = ast.dump(ast.parse(text))
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"cannot be parsed: {error}") from error
    return hashlib.sha256(dump.encode("utf-8", "surrogatepass")).hexdigest()


def candidate(
    original: Original,
    start: int,
    end: int,
    replacement: str,
    *,
    proposer: str,
    note: str = "",
    promise: float = 0.0,
    prompted: Prompted | None = None,
) -> Candidate | Rejected:
    """The candidate of an edit, or why there is none: it does not parse, changes nothing, or a test."""
    old = original.text
    text = old[:start] + replacement + old[end:]
    if text == old:
        return Rejected("no change")
    try:
        key = identity(text)
        protected = original.tests.protected(original.path, text)
    except (SyntaxError, ValueError):
        return Rejected("does not parse")
    if key == original.key:
        return Rejected("no change")
    if protected != original.protected:
        return Rejected("changes a test")
    return Candidate(
        original.path, text, start, end, old[start:end], replacement, proposer, note, key, promise, prompted
    )


def whole(original: Original, text: str, **how: object) -> Candidate | Rejected:
    """The candidate of a whole new text; its edit is what is between the common beginning and end."""
    old = original.text
    start = _common(old, text)
    end = _common(old[start:][::-1], text[start:][::-1])
    return candidate(original, start, len(old) - end, text[start : len(text) - end], **how)  # type: ignore[arg-type]


def _common(one: str, other: str) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
