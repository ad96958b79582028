"""Server-sent events, decoded from bytes that may be split anywhere."""

from __future__ import annotations

import codecs

MAX_EVENT_CHARS = 4 * 1024 * 1024
"""A server that sends more than this without ending an event is not talking to us."""


class TooLong(ValueError):
    """An event grew past `MAX_EVENT_CHARS`."""


class Decoder:
    """Feed bytes in, take the `data` of finished events out.

    Follows the WHATWG rules that matter here: CR, LF and CRLF end a line, a blank line ends an
    event, several `data` lines are joined by a newline, comments and other fields are skipped.
    """

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._data: list[str] = []
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[str]:
        """The data of each event that `chunk` completed. Raises TooLong."""
        text = self._utf8.decode(chunk)
        if self._after_cr and text:
            # A CR ended the last line already; an LF right behind it belongs to it.
            text, self._after_cr = text.removeprefix("\n"), False
        self._after_cr = self._after_cr or text.endswith("\r")
        lines = (self._rest + text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
        self._rest = lines.pop()
        done = [event for line in lines if (event := self._line(line)) is not None]
        if len(self._rest) + sum(map(len, self._data)) > MAX_EVENT_CHARS:
            raise TooLong(f"more than {MAX_EVENT_CHARS:,} characters without the end of an event")
        return done

    def finish(self) -> list[str]:
        """What was still open when the stream ended; some servers forget the last blank line."""
        tail = [event for line in (self._rest, "") if (event := self._line(line)) is not None]
        self._rest = ""
        return tail

    def _line(self, line: str) -> str | None:
        if not line:
            data, self._data = self._data, []
            return "\n".join(data) if data else None
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        return None
