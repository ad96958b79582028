"""Covers secrets in what is sent to a model, and puts them back into the code that it returns.

A request's body is covered in one place, whoever made the prompt. Each secret gets a mark with a number,
so that a rewritten function that still holds the mark becomes one that holds the person's own text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from backtrail_probe.redact import Redactor

_TEXTS = ("prompt", "suffix", "content")


def covered(text: str) -> str:
    """A prompt as it is sent: for showing it to the person."""
    return Veil().over(text)


@define
class Veil:
    """For one request."""

    _redactor: Redactor = field(factory=lambda: Redactor(os.environ))
    _marks: dict[str, str] = field(factory=dict)  # secret -> mark

    def over(self, text: str) -> str:
        return self._redactor.cover(text, self._mark)

    def over_body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A request's body with its texts covered: `prompt`, `suffix`, and the content of `messages`."""
        made = {key: self.over(value) if _is_text(key, value) else value for key, value in body.items()}
        if isinstance(body.get("messages"), list):
            made["messages"] = [self.over_body(message) for message in body["messages"]]
        return made

    def lifted(self, text: str) -> str:
        """An answer with the secrets back in the place of their marks."""
        for secret, mark in reversed(self._marks.items()):
            text = text.replace(mark, secret).replace(mark.rstrip("\n"), secret)
        return text

    def _mark(self, secret: str) -> str:
        """As many lines as the secret has: what is said of a line must stay true."""
        mark = f"…redacted-{len(self._marks) + 1}…" + "\n" * secret.count("\n")
        return self._marks.setdefault(secret, mark)


def _is_text(key: str, value: object) -> bool:
    return key in _TEXTS and isinstance(value, str)
