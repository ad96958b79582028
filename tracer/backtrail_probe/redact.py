"""Hides secrets by value, before they reach a log.

What counts: the shapes of well-known tokens, private keys, passwords in URLs, `password=…` inside a
text, the values of environment variables with a secret-looking name, and long tokens that look random.
A hex digest looks like a key; it counts when its name in the source or in a dictionary says that it is
one, and from then on wherever it turns up.
"""

from __future__ import annotations

import os
import re
from math import log2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Mapping, Pattern, Tuple

MARK = "…redacted…"
SHORTEST = 8
"""Shorter strings are never looked at: no real secret is shorter, and most strings are."""

_LONGEST_TOLD, _MOST_TOLD = 1000, 2000  # characters of a string, strings

_SHAPES = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    r"\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{20,}",
    r"\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"\bglpat-[A-Za-z0-9_-]{16,}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}",
    r"\bhf_[A-Za-z0-9]{20,}",
    r"\bpypi-[A-Za-z0-9_-]{20,}",
    r"\bnpm_[A-Za-z0-9]{20,}",
    r"\bAIza[A-Za-z0-9_-]{30,}",
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?",
)
_URL = r"(?P<url>\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@]*):(?P<urlpw>[^\s@/…]+)@"
_NAMED = (
    r"(?P<named>(?i:password|passwd|pwd|secret|api[_-]?key|access[_-]?key|auth[_-]?token|bearer)"
    r"[\"']?(?:\s*[:=]\s*|\s+)[\"']?)(?P<value>[^\s\"',;&…]{6,})"
)
_RANDOM = r"(?P<random>[A-Za-z0-9+/_=-]{24,})"
_PATTERN = re.compile("|".join((*(f"(?:{shape})" for shape in _SHAPES), _URL, _NAMED, _RANDOM)))
_TELLING = r"secret|passw|passphrase|token|api_?key|access_?key|private_?key|credential|auth$"
# A word is in one case or capitalised, each part with at most three digits at its end. Random characters
# rarely spell only such words; the letters without a break in them are what is left to chance.
_WORD = r"(?:[a-z]+|(?:[A-Z][a-z]+)+|[A-Z]+)\d{0,3}|\d{1,3}"
_JOINED_WORDS = re.compile(rf"(?:(?:{_WORD})?[-_/])+(?:{_WORD})?")
_NAMES = re.compile(rf"(?i)({_TELLING})")
_PASSWORDS = re.compile(r"(?i)(passw|passphrase|pwd)")

# In source text a name stands before code as often as before a value: only what is quoted is a value.
_WORDS = ("secret", "passw", "pwd", "passphrase", "token", "key", "credential")
_NAMED_IN_CODE = (
    r"(?P<named>(?i:secret|passw|pwd|passphrase|token|api_?key|access_?key|private_?key|credential)"
    r"\w*[\"'\])]*\s*[:=]\s*[rRbBfFuU]{0,2}[\"'])"
    r"(?P<value>[^\s\"'…]{6,})"
)
_BEARER = r"(?P<bearer>(?i:bearer|basic)\s+)(?P<credentials>[A-Za-z0-9._~+/-]*[0-9][A-Za-z0-9._~+/-]{7,})"
_QUOTED = r"(?<=[\"'])(?P<random>[A-Za-z0-9+/_=-]{24,})(?=[\"'])"
_IN_CODE = "|".join((*(f"(?:{shape})" for shape in _SHAPES), _URL, _BEARER, _NAMED_IN_CODE, _QUOTED))


def entropy(token: str) -> float:
    """Shannon entropy in bits a character."""
    counts = {char: token.count(char) for char in set(token)}
    return -sum(n / len(token) * log2(n / len(token)) for n in counts.values())


def looks_random(token: str) -> bool:
    """True for what a machine made up: both cases and digits, mixed well. Paths, identifiers, hex digests
    and words joined by - and _ (names of parametrised tests), which programs are full of, are not."""
    if _JOINED_WORDS.fullmatch(token):
        return False
    if "/" in token and token.count("/") > len(token) // 12:
        return False
    if not (any(map(str.isdigit, token)) and any(map(str.islower, token)) and any(map(str.isupper, token))):
        return False
    return entropy(token) >= 4.0


class Redactor:
    """Made once a run. `hide` costs one regular expression for a new string of eight characters or more."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        secrets = {value for name, value in environment.items() if _NAMES.search(name) and _worth(value)}
        self._known: Tuple[str, ...] = tuple(sorted(secrets, key=len, reverse=True))
        self._pattern: Pattern[str] = _PATTERN
        # A program shows the same strings again and again: each line renders what is still there.
        self._told: Dict[str, Tuple[str, bool]] = {}
        self.on_new: List[Callable[[], None]] = []  # called when there is a new secret

    def learn(self, source: str) -> None:
        """Makes secrets of what a source text assigns to a telling name and looks made by a machine."""
        lower = source.lower()
        if not any(word in lower for word in _WORDS):  # to compile the pattern costs more than most files
            return
        for found in re.finditer(_NAMED_IN_CODE, source):
            if _is_made(found["value"]):
                self.add(found["value"])

    def add(self, secret: str) -> None:
        if secret not in self._known:
            self._known = tuple(sorted((*self._known, secret), key=len, reverse=True))
            self._told.clear()
            for forget in self.on_new:
                forget()

    def learn_by_name(self, name: str, value: str) -> None:
        """Makes a secret of what has a telling name and looks made by a machine."""
        if _is_made(value) and _NAMES.search(name):
            self.add(value)

    def cover(self, text: str, mark: Callable[[str], str]) -> str:
        """Source text, or a prompt with some in it, with `mark(secret)` in the place of each secret."""
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, mark(secret))

        def replaced(match: "re.Match[str]") -> str:
            return _replaced(match, mark) if _is_value(match) else match[0]

        return re.sub(_IN_CODE, replaced, text)

    def hide(self, text: str) -> "Tuple[str, bool]":
        """The text with each secret replaced by a mark, and whether there was one."""
        if len(text) < SHORTEST:
            return text, False
        found = self._told.get(text)
        if found is None:
            found = self._look(text)
            if len(text) <= _LONGEST_TOLD:
                if len(self._told) >= _MOST_TOLD:
                    self._told.clear()
                self._told[text] = found
        return found

    def _look(self, text: str) -> "Tuple[str, bool]":
        hidden = text
        for secret in self._known:
            if secret in hidden:
                hidden = hidden.replace(secret, MARK)
        hidden = self._pattern.sub(_hidden, hidden)
        return hidden, hidden is not text and hidden != text


def _worth(value: str) -> bool:
    return len(value) >= SHORTEST and not os.path.isabs(value) and not value.isdigit()


def _is_made(value: str) -> bool:
    """Whether a machine made it: long, without spaces, and with digits in it."""
    return len(value) >= 16 and any(map(str.isdigit, value)) and not any(map(str.isspace, value))


def is_password(name: str, value: str) -> bool:
    """Whether a value under this key of a dictionary is a password, which may be short and no random text."""
    return len(value) >= 6 and _PASSWORDS.search(name) is not None


def _is_value(match: "re.Match[str]") -> bool:
    """In source, a parser's `token = "number"` is no secret."""
    name, value = match.groupdict().get("named"), match.groupdict().get("value")
    return name is None or value is None or is_password(name, value) or _is_made(value)


def _hidden(match: "re.Match[str]") -> str:
    return _replaced(match, lambda _: MARK)


def _replaced(match: "re.Match[str]", mark: Callable[[str], str]) -> str:
    groups = match.groupdict()
    if groups["url"] is not None:
        return f"{groups['url']}:{mark(groups['urlpw'])}@"
    if groups["named"] is not None:
        return str(groups["named"]) + mark(groups["value"])
    if groups.get("bearer") is not None:
        return str(groups["bearer"]) + mark(groups["credentials"])
    token = groups["random"]
    return token if token is not None and not looks_random(token) else mark(match[0])
