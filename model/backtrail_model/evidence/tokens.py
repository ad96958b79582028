"""Token counts without a tokenizer: the client does not know the model's, and an estimate will do."""

from __future__ import annotations

import math
import re

LETTERS = 6
"""Of a word that is one token. The estimate comes to about what Qwen2.5-Coder's tokenizer counts, over code,
facts and whole prompts of failures: `python -m bench.token_estimate`."""
CHARS_PER_TOKEN = 3.5
"""Of text of which only the length is known."""
_PIECES = re.compile(r"\d|[^\W\d_]+|_+|[^\w\s]{1,3}|\n\s*")


def estimate(text: str) -> int:
    """The pieces that vocabularies of code models cut a text into: each digit, words or parts of them, a few
    marks at once, the beginning of a line. Values are mostly digits and marks, which letters alone would
    count for half of what they are."""
    return sum(math.ceil(len(piece) / LETTERS) if piece.isalpha() else 1 for piece in _PIECES.findall(text))


def of_length(chars: int) -> int:
    return math.ceil(chars / CHARS_PER_TOKEN)
