"""From tokens to text as it streams: never half a character, never part of a stop string."""

from __future__ import annotations

from collections.abc import Callable, Sequence

BROKEN = "�"  # what a decoder shows for bytes that are not a whole character yet


class Detokeniser:
    """Turns tokens into text piece by piece; a character of several tokens comes out whole."""

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._shown = 0  # tokens whose text was given out
        self._start = 0  # where the window begins: a few shown tokens, for decoders that look back

    def push(self, token: int) -> str:
        """The text that this token completes; empty while a character is still incomplete."""
        self._tokens.append(token)
        before = self._decode(self._tokens[self._start : self._shown])
        after = self._decode(self._tokens[self._start :])
        if after.endswith(BROKEN) and len(self._tokens) - self._shown < 8:
            return ""
        self._start, self._shown = self._shown, len(self._tokens)
        return after[len(before) :]

    def flush(self) -> str:
        """What is left at the end, incomplete or not."""
        before = self._decode(self._tokens[self._start : self._shown])
        after = self._decode(self._tokens[self._start :])
        self._start = self._shown = len(self._tokens)
        return after[len(before) :]


class StopFilter:
    """Lets text through up to the first stop string, and holds back what may become one.

    Whatever the pieces that the text comes in, what is let through is the same: the text before the
    stop string that is complete first (of two that end at the same place, the longer).
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """The text that can be shown now."""
        if self.stopped:
            return ""
        self._held += text
        found = [(at + len(stop), at) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            shown, self._held = self._held[: min(found)[1]], ""
            return shown
        keep = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        cut = len(self._held) - keep
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def flush(self) -> str:
        """What was held back and did not become a stop string after all."""
        shown, self._held = self._held, ""
        return shown


def _overlap(text: str, stop: str) -> int:
    """The longest end of `text` that is a beginning of `stop`, short of all of it."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
