"""Token counts without a tokenizer: the client does not know the model's, and an estimate will do."""

from __future__ import annotations

import math

CHARS_PER_TOKEN = 3.5
"""Code in the vocabularies of today's code models; a little low, so that budgets are kept."""


def estimate(text: str) -> int:
    return math.ceil(len(text) / CHARS_PER_TOKEN)
