"""The protocol's text edits, applied by encoding the text: slow, and nothing like the server's way."""

from __future__ import annotations

import re

from lsprotocol import types

_WIDTH = {"utf-8": 1, "utf-16": 2, "utf-32": 4}
_CODEC = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}


def apply(text: str, edits: list[types.TextEdit], encoding: str) -> str:
    codec, width = _CODEC[encoding], _WIDTH[encoding]
    starts = [0, *(match.end() for match in re.finditer(r"\r\n|\n|\r", text))]

    def index(at: types.Position) -> int:
        start = starts[at.line] if at.line < len(starts) else len(text)
        raw = text[start:].encode(codec)[: at.character * width]
        return start + len(raw.decode(codec))

    pieces, done = [], 0
    for edit in sorted(edits, key=lambda e: index(e.range.start)):
        pieces += [text[done : index(edit.range.start)], edit.new_text]
        done = index(edit.range.end)
    return "".join([*pieces, text[done:]])
