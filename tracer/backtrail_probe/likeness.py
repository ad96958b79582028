"""Tells that a value is as it was when it was rendered last, for a fraction of what rendering costs.

At each event all variables that hold something mutable are looked at again, and most of them have not
changed. What rendering would look at is gathered here in two lists: identities and sizes, and the
immutable values themselves, which are compared by identity. No code of the user runs, and nothing of the
user's is kept alive but numbers and short texts.
"""

from __future__ import annotations

from itertools import islice

from . import statics
from .builtin_values import ATOM_IDS, ITEMS, builtin_base
from .foreign import may_be_known
from .statics import identity

try:
    from _operator import is_
except ImportError:
    from operator import is_

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

_NUMBERS = frozenset(map(identity, (int, float, bool, type(None), complex)))
_MOST_KINDS = 5000
_EXACT: "Dict[int, Any]" = {identity(kind): kind for kind in ITEMS}
_LONGEST, _MOST = 200, 80  # characters of a text that is kept; things that are looked at


class Look:
    """What there is to be seen of a value by a rendering that shows so many `items` of a container."""

    __slots__ = ("items", "numbers", "parts")

    def __init__(self, items: int) -> None:
        self.items = items
        self.numbers: "List[int]" = []
        self.parts: "List[Any]" = []

    def is_like(self, other: "Look") -> bool:
        """Whether both would be rendered as the same text."""
        return (
            self.numbers == other.numbers
            and len(self.parts) == len(other.parts)
            and all(map(is_, self.parts, other.parts))
        )

    def add(self, obj: Any, depth: int) -> bool:
        """False where the value has to be rendered to tell: of types whose values are had in ways of their
        own, and of what is large."""
        cls = type(obj)
        kind = identity(cls)
        if kind in ATOM_IDS:
            self.parts.append(obj)
            return kind in _NUMBERS or len(obj) <= _LONGEST
        base = _EXACT.get(kind)
        if base is None:
            return self._add_instance(obj, cls, depth)
        size = len(obj)
        self.numbers += (identity(obj), kind, size)
        if not size or depth <= 0:
            return True
        if base is dict and not self._add_all(list(islice(obj.values(), self.items)), depth):
            return False
        return self._add_all(list(islice(obj, self.items)), depth)

    def _add_instance(self, obj: Any, cls: type, depth: int) -> bool:
        token = _token_of(cls)
        held = statics.instance_dict(obj) if token is not None else None
        if held is None:
            return False
        self.parts.append(token)
        self.numbers += (identity(obj), len(held))
        if depth <= 0:
            return True
        most = 2 * self.items + 1
        return self._add_all(list(islice(held, most)), depth) and self._add_all(
            list(islice(held.values(), most)), depth
        )

    def _add_all(self, things: "List[Any]", depth: int) -> bool:
        if _NUMBERS.issuperset(map(identity, map(type, things))):
            self.parts += things
            return True
        if len(self.parts) + len(self.numbers) > _MOST:
            return False
        for each in things:
            if not self.add(each, depth - 1):
                return False
        return True


class Credit:
    """Whether it pays to look at values of a type: where they are mostly new, or mostly changed, it does not.
    By the identity of the type, so that none is kept alive; a wrong answer costs time and nothing else."""

    FIRST, MOST, PAUSE, AGAIN = 4, 16, -64, 2

    def __init__(self) -> None:
        self._of: "Dict[int, int]" = {}

    def pays(self, kind: int) -> bool:
        credit = self._of.get(kind, self.FIRST)
        if credit >= 0:
            return True
        self._of[kind] = credit + 1 if credit < -1 else self.AGAIN
        return False

    def learn(self, kind: int, was_like: bool) -> None:
        credit = self._of.get(kind, self.FIRST) + (2 if was_like else -1)
        if len(self._of) >= _MOST_KINDS:
            self._of.clear()
        self._of[kind] = min(credit, self.MOST) if credit >= 0 else self.PAUSE


def _token(cls: type) -> "Optional[object]":
    """One thing for each class whose instances are shown by their dictionary and nothing else."""
    special = builtin_base(cls) is not None or may_be_known(cls) or statics.has_slots(cls)
    return None if special else object()


_token_of = statics.PerClass(_token).of
