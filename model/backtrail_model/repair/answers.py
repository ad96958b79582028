"""What a model's answer to "reply with the edit" means, when it may be in one of several forms.

Understood are SEARCH/REPLACE blocks, and code: a whole function (or file), or a few lines of which
the first and last still stand in the file.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from backtrail_model.repair.candidates import Original
from backtrail_model.repair.laid import Definition, indented, laid
from backtrail_model.repair.source import parsed

_BLOCK = re.compile(r"<{5,}\s*SEARCH[^\n]*\n(.*?)\n?={5,}[^\n]*\n(.*?)\n?>{5,}\s*REPLACE", re.DOTALL)
# Small models remember the words and forget the fences.
_LOOSE = re.compile(
    r"[<>]{3,}\s*SEARCH\s*\n(.*?)\n[<>=]{3,}\s*(?:REPLACE)?\s*\n(.*?)(?:\n[<>`]{3,}|\Z)", re.DOTALL | re.I
)
_FENCE = re.compile(r"```[\w+-]*[^\n]*\n(.*?)(?:\n```|\Z)", re.DOTALL)


def texts(original: Original, answer: str) -> Iterator[str]:
    """The whole new texts that an answer may mean, most literal first; none when it makes no sense."""
    found = _BLOCK.findall(answer) or _LOOSE.findall(answer)
    if found:
        text: str | None = original.text
        for search, replacement in found:
            text = apply_block(text, search, replacement) if text is not None else None
        yield from [text] if text is not None else []
        return
    for code in _FENCE.findall(answer) or [answer]:
        if (text := laid(original.source, code)) is not None:
            yield text


def standing_alone(answer: str) -> Iterator[str]:
    """The code of an answer to a program that does not parse, which nothing can be laid over."""
    for code in map(textwrap.dedent, _FENCE.findall(answer) or [answer]):
        if (tree := parsed(code)) is not None and any(isinstance(node, Definition) for node in tree.body):
            yield code


def apply_block(text: str, search: str, replacement: str) -> str | None:
    """`search` replaced where it first stands; indentation may be off by a constant. None: not there."""
    wanted = search.strip("\n").split("\n")
    lines = text.split("\n")
    for at in range(len(lines) - len(wanted) + 1):
        here = lines[at : at + len(wanted)]
        if [line.strip() for line in here] == [line.strip() for line in wanted] and any(
            map(str.strip, wanted)
        ):
            indent = here[0][: len(here[0]) - len(here[0].lstrip())]
            new = indented(replacement.strip("\n").split("\n"), indent) if replacement.strip() else []
            return "\n".join([*lines[:at], *new, *lines[at + len(wanted) :]])
    return None
