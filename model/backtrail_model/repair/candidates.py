"""Candidates: an edit of one file, and when two of them are the same."""

from __future__ import annotations

import ast
import hashlib
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from functools import cached_property
from pathlib import Path

from attrs import field, frozen

from backtrail_model.repair.source import Source
from backtrail_model.testcode import TestCode

_CHECK = re.compile(r"\s*(assert\b|>>> |if\s+__name__\b)")


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

    @classmethod
    def of(cls, path: Path, text: str, tests: TestCode) -> Original:
        """Raises SyntaxError (or ValueError for a null character) when the text does not parse."""
        identity(text)
        return cls(path, Source(text), tests)

    @classmethod
    def broken(cls, path: Path, text: str, tests: TestCode) -> Original:
        """Of a text that does not parse. Its candidates are judged as a whole."""
        return cls(path, Source(text), tests)

    @property
    def text(self) -> str:
        return self.source.text

    def keeps_tests(self, text: str, first: int, last: int) -> bool:
        """Whether `text` in the place of `[first:last]` leaves alone what is a test's. Raises SyntaxError."""
        if self.source.error is not None:
            return not (_checks(self.text) - _checks(text))
        protected = self.tests.protected(self.path, text)
        return protected == self.tests.protected(self.path, self.text[first:last])

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        """Whole lines of each statement at the top; none when two share a line."""
        spans: list[tuple[int, int]] = []
        for node in self.source.tree.body:
            decorators = [each.lineno for each in getattr(node, "decorator_list", ())]
            first = self.source.line_start(min([node.lineno, *decorators]))
            if spans and first < spans[-1][1]:
                return []
            spans.append((first, self.source.line_start((node.end_lineno or node.lineno) + 1)))
        return spans

    def part(self, start: int, end: int) -> tuple[int, int]:
        """The lines that an edit is to be judged by: those of the statement at the top that it lies in, so
        that a large file is not parsed for every edit; of an edit elsewhere the whole text."""
        firsts = [first for first, _ in self._spans]
        # What is put in between two statements belongs to the one before, as a line at its end does.
        place = (bisect_left(firsts, start) if start == end else bisect_right(firsts, start)) - 1
        if place >= 0 and end <= self._spans[place][1]:
            return self._spans[place]
        return 0, len(self.text)


@frozen
class Candidate:
    """`text[start:end]` of the original replaced; `text` is the whole file after it.

    Two candidates with the same `key` are the same program. `promise` is a rough chance of being
    right, for the order of verification only. `chance` is one that may be set against a question to a
    model, see `turns.py`; 0: not known.
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
    chance: float = 0.0


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
    chance: float = 0.0,
) -> Candidate | Rejected:
    """The candidate of an edit, or why there is none: it does not parse, changes nothing, or a test."""
    old = original.text
    text = old[:start] + replacement + old[end:]
    if text == old:
        return Rejected("no change")
    first, last = original.part(start, end)
    part = old[first:start] + replacement + old[end:last]
    try:
        key = identity(part)
        changed = original.source.error is not None or key != identity(old[first:last])
        keeps_tests = original.keeps_tests(part, first, last)
    except (SyntaxError, ValueError):
        return Rejected("does not parse")
    if not changed:
        return Rejected("no change")
    if not keeps_tests:
        return Rejected("changes a test")
    return Candidate(
        path=original.path,
        text=text,
        start=start,
        end=end,
        replaced=old[start:end],
        replacement=replacement,
        proposer=proposer,
        note=note,
        key=f"{first} {key}",
        promise=promise,
        prompted=prompted,
        chance=chance,
    )


def _checks(text: str) -> Counter[str]:
    """Lines that check something, in a text that may not parse."""
    return Counter(line.strip() for line in text.splitlines() if _CHECK.match(line))


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
