"""The only place that turns Backtrail's positions and texts into the protocol's.

Inside, a line counts from 1 and a column in characters (code points) from 0; columns of `ast` are UTF-8
bytes. Outside, both count from 0 and a column is in the units that were negotiated, UTF-16 by default.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from pathlib import Path
from typing import Literal, cast
from urllib.parse import unquote, urlsplit

from lsprotocol import types

from backtrail_tracer.aging import split_lines

Encoding = Literal["utf-8", "utf-16", "utf-32"]

_LAST_BMP = "\uffff"


def encoding_of(negotiated: types.PositionEncodingKind | str | None) -> Encoding:
    value = negotiated.value if isinstance(negotiated, types.PositionEncodingKind) else negotiated
    return cast("Encoding", value) if value in ("utf-8", "utf-16", "utf-32") else "utf-16"


def units(text: str, encoding: Encoding) -> int:
    """How many units a text takes."""
    if encoding == "utf-16":
        return len(text) + sum(char > _LAST_BMP for char in text)
    return len(text.encode("utf-8", "surrogatepass")) if encoding == "utf-8" else len(text)


def column_of_units(line: str, count: int, encoding: Encoding) -> int:
    """The character that begins at or holds unit `count`; the line's length when it is beyond."""
    taken = 0
    for index, char in enumerate(line):
        taken += units(char, encoding)
        if taken > count:
            return index
    return len(line)


def column_of_bytes(line: str, count: int) -> int:
    """The character of a column in UTF-8 bytes, as `ast` and tracebacks give it."""
    return column_of_units(line, count, "utf-8")


def position(text: str, line: int, column: int, encoding: Encoding) -> types.Position:
    """A place given as line (from 1) and column in characters; cut to the text."""
    lines = split_lines(text)
    row = min(max(line, 1), len(lines)) - 1
    return types.Position(row, units(lines[row][: max(column, 0)], encoding))


def place(text: str, at: types.Position, encoding: Encoding) -> tuple[int, int]:
    """(line from 1, column in characters) of a protocol position; cut to the text."""
    lines = split_lines(text)
    if at.line >= len(lines):
        return len(lines), len(lines[-1])
    return at.line + 1, column_of_units(lines[at.line], at.character, encoding)


def byte_range(text: str, start: tuple[int, int], end: tuple[int, int], encoding: Encoding) -> types.Range:
    """A range given as (line, UTF-8 column) twice. Without a column (-1) it is the line's code."""
    lines = split_lines(text)
    if start[1] < 0 or end[1] < 0 or end < start:
        return line_range(text, start[0], encoding)
    ends = []
    for line, count in (start, end):
        row = lines[min(line, len(lines)) - 1]
        ends.append(position(text, line, column_of_bytes(row, count), encoding))
    return types.Range(ends[0], ends[1])


def line_range(text: str, line: int, encoding: Encoding) -> types.Range:
    """The code of a line, without its indentation."""
    lines = split_lines(text)
    row = lines[min(max(line, 1), len(lines)) - 1]
    indent = len(row) - len(row.lstrip())
    return types.Range(
        position(text, line, indent, encoding), position(text, line, len(row.rstrip()), encoding)
    )


def text_edits(before: str, after: str, encoding: Encoding) -> list[types.TextEdit]:
    """The edits of whole lines that turn one text into another; only lines that differ are in them.

    Line ends follow the document's: a fix made from "\\n" text does not rewrite a "\\r\\n" file.
    """
    end = "\r\n" if "\r\n" in before else "\n"
    old, new = split_lines(before), split_lines(after)
    edits = []
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        edits.append(_line_edit(old, (a, b), new[c:d], end, encoding))
    return edits


def _line_edit(
    old: tuple[str, ...], span: tuple[int, int], fresh: tuple[str, ...], end: str, encoding: Encoding
) -> types.TextEdit:
    """Replace the lines old[a:b] by fresh. The last line has no end of its own, so it lends one."""
    a, b = span
    if b < len(old):
        whole = types.Range(types.Position(a, 0), types.Position(b, 0))
        return types.TextEdit(whole, "".join(line + end for line in fresh))
    last = types.Position(len(old) - 1, units(old[-1], encoding))
    if a == 0:
        return types.TextEdit(types.Range(types.Position(0, 0), last), end.join(fresh))
    above = types.Position(a - 1, units(old[a - 1], encoding))
    return types.TextEdit(types.Range(above, last), "".join(end + line for line in fresh))


def apply_edits(text: str, edits: list[types.TextEdit], encoding: Encoding) -> str:
    """What an editor makes of non-overlapping edits (for clients that cannot, and for tests)."""
    in_order = sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character))
    for edit in reversed(in_order):  # of edits at one place the first comes first in the text
        start, end = offset(text, edit.range.start, encoding), offset(text, edit.range.end, encoding)
        text = text[:start] + edit.new_text + text[end:]
    return text


def offset(text: str, at: types.Position, encoding: Encoding) -> int:
    """The index into `text` of a protocol position."""
    line, column = place(text, at, encoding)
    index = 0
    for row in split_lines(text)[: line - 1]:
        index += len(row)
        index += 2 if text[index : index + 2] == "\r\n" else 1
    return index + column


def path_of(uri: str) -> Path | None:
    """The file a document stands for, or None for documents that are not files."""
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return None
    path = unquote(parts.path)
    if len(path) > 2 and path[0] == "/" and path[2] == ":":  # file:///C:/...
        path = path[1:]
    return Path(f"//{parts.netloc}{path}" if parts.netloc else path)
