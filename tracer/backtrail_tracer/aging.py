"""How the lines of the text at hand relate to the lines of the text that ran.

A trace speaks of the text that ran. While the person edits, lines move; a line that moved unchanged
keeps what was recorded for it, a line that was edited has none.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache

from attrs import frozen

# What ends a line for Python and for LSP. str.splitlines also splits at form feeds and U+2028.
_LINE_END = re.compile(r"\r\n|\n|\r")

# Beyond so many lines in the edited middle a diff would make a hover wait: they count as edited.
_MOST_DIFFED = 2000


@lru_cache(maxsize=32)
def split_lines(text: str) -> tuple[str, ...]:
    """The lines without their ends; a text that ends in a line end has an empty last line."""
    return tuple(_LINE_END.split(text))


@frozen
class LineMap:
    """Line numbers (from 1) of the text that ran and of the text now, where a line is the same in both."""

    same: bool
    _ran_of: tuple[int, ...]  # index: line now - 1; value: line that ran, 0 when edited
    _now_of: tuple[int, ...]

    def ran(self, now: int) -> int | None:
        """The line that ran as line `now` is, or None when that line was edited since."""
        return (self._ran_of[now - 1] or None) if 0 < now <= len(self._ran_of) else None

    def now(self, ran: int) -> int | None:
        """Where line `ran` is now, or None when it was edited or removed."""
        return (self._now_of[ran - 1] or None) if 0 < ran <= len(self._now_of) else None


@lru_cache(maxsize=32)
def line_map(ran_text: str, now_text: str) -> LineMap:
    """Match the lines of two texts: what is common at both ends, then a diff of the middle."""
    ran, now = split_lines(ran_text), split_lines(now_text)
    if ran == now:
        each = tuple(range(1, len(ran) + 1))
        return LineMap(True, each, each)
    head = _common(ran, now)
    tail = _common(ran[head:][::-1], now[head:][::-1])
    ran_of, now_of = [0] * len(now), [0] * len(ran)
    pairs = [(i, i) for i in range(head)]
    pairs += [(len(ran) - i, len(now) - i) for i in range(tail, 0, -1)]
    middle = ran[head : len(ran) - tail], now[head : len(now) - tail]
    if max(map(len, middle)) <= _MOST_DIFFED:
        for block in SequenceMatcher(None, *middle, autojunk=False).get_matching_blocks():
            pairs += [(head + block.a + i, head + block.b + i) for i in range(block.size)]
    for a, b in pairs:
        ran_of[b], now_of[a] = a + 1, b + 1
    return LineMap(False, tuple(ran_of), tuple(now_of))


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
