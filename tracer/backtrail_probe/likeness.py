"""Tells that a value is as it was when it was rendered last, for a fraction of what rendering costs.

At each event all variables that hold something mutable are looked at again, and most of them have not
changed. What rendering would look at is gathered here in lists: identities and sizes, texts, and immutable
values, which are compared by identity. It goes the way that rendering goes (`Renderer._walk`), and gives
up where a text of the largest size would be full: it counts at most the characters that rendering puts.
No code of the user runs, and nothing of the user's is kept alive but numbers and short texts.
"""

from __future__ import annotations

from itertools import chain, islice

from . import statics
from .builtin_values import ATOM_IDS, EXACT, ITEMS, SIMPLE, head
from .foreign import describe
from .kinds import kind_of
from .redact import SHORTEST
from .statics import identity

try:
    from _operator import is_
except ImportError:
    from operator import is_

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Sequence, Set

    from .kinds import Kind

_NUMBERS = frozenset(map(identity, (int, float, bool, type(None), complex)))
_MOST_KINDS = 5000
_LONGEST, _MOST = 200, 120  # characters of a text that is kept; things that are looked at


class Look:
    """What there is to be seen of a value by a rendering of at most so many characters that shows so many
    `items` of a container."""

    __slots__ = ("items", "left", "numbers", "parts", "seen", "texts")

    def __init__(self, chars: int, items: int) -> None:
        self.left = chars
        self.items = items
        self.numbers: "List[int]" = []
        self.parts: "List[Any]" = []
        self.texts: "List[str]" = []
        self.seen: "Set[int]" = set()  # the containers around what is looked at

    def is_like(self, other: "Look") -> bool:
        """Whether both would be rendered as the same text."""
        return (
            self.numbers == other.numbers
            and len(self.parts) == len(other.parts)
            and all(map(is_, self.parts, other.parts))
            and self.texts == other.texts
        )

    def add(self, obj: Any, depth: int) -> bool:
        """False where the value has to be rendered to tell: of arrays, and of what is large."""
        cls = type(obj)
        number = identity(cls)
        if number in ATOM_IDS:
            return self._add_atom(obj, number)
        self.left -= 1
        base = EXACT.get(number)
        if base is list or base is tuple:
            return self._inside(obj, number, len(obj), obj[: self.items], depth)
        if base is None:
            kind = kind_of(cls)
            base = kind.base
            self.parts += (kind, statics.qualified_name(cls)) if kind.named else (kind,)
            if base is None or (base is int and statics.holds_enum(kind.dict_of(obj))):
                return self._add_instance(obj, cls, kind, depth)
        if base in ITEMS:
            return self._add_container(obj, cls, number, base, depth)
        if base is BaseException:
            args = statics.exception_args(obj)
            return self._inside(obj, number, len(args), args, depth)
        if base not in SIMPLE:
            return False  # bytearrays, and subclasses of str, bytes and int
        text = SIMPLE[base](obj)
        self.numbers.append(number)
        self.texts.append(text)
        self.left -= len(text) - 1
        return True

    def _add_atom(self, obj: Any, number: int) -> bool:
        self.parts.append(obj)
        if number in _NUMBERS:
            self.left -= 1
            return True
        self.left -= 2 + min(len(obj), SHORTEST)  # a secret in it may be covered, by a text not shorter
        return len(obj) <= _LONGEST

    def _add_container(self, obj: Any, cls: type, number: int, base: Any, depth: int) -> bool:
        size = base.__len__(obj)
        if base is dict:
            things: "Sequence[Any]" = list(chain.from_iterable(islice(dict.items(obj), self.items)))
            return self._inside(obj, number, size, things, depth)
        fields = statics.class_attribute(cls, "_fields") if base is tuple and cls is not tuple else None
        if not statics.is_strings(fields):
            return self._inside(obj, number, size, head(obj, base, self.items), depth)
        self.parts.append(fields)
        return self._inside(obj, number, size, tuple.__getitem__(obj, slice(2 * self.items + 1)), depth)

    def _inside(self, obj: Any, number: int, size: int, things: "Sequence[Any]", depth: int) -> bool:
        """What a thing holds, unless rendering would say "..." of it."""
        own = identity(obj)
        self.numbers += (number, size, own)
        if not things or depth <= 0 or own in self.seen:
            return True
        if _NUMBERS.issuperset(map(identity, map(type, things))):
            self.parts += things
            self.left -= 3 * len(things) - 2
            return True
        if len(self.parts) + len(self.numbers) > _MOST:
            return False
        self.seen.add(own)
        for each in things:
            if self.left <= 0:
                break
            if identity(type(each)) in _NUMBERS:
                self.parts.append(each)
                self.left -= 1
            elif not self.add(each, depth - 1):
                return False
            self.left -= 2
        self.seen.discard(own)
        return True

    def _add_instance(self, obj: Any, cls: type, kind: "Kind", depth: int) -> bool:
        if kind.foreign:
            known = None if kind.array else describe(obj, cls, self.items)
            if known is not None:
                self.texts.append(known.text)
            return known is not None
        held, own = kind.dict_of(obj), identity(obj)
        fields: "List[Any]" = statics.slots(obj, kind.slots) if kind.slots else []
        self.numbers.append(own)
        if held:
            if "_value_" in held and statics.holds_enum(held):
                self.parts.append(held["_name_"])
                return self.add(held["_value_"], depth - 1)
            self.numbers.append(len(held))
            fields += islice(held.items(), 2 * self.items + 1)  # at once: threads seldom come between
        if depth <= 0 or own in self.seen:
            self.numbers.append(bool(fields))
            return True
        return self._add_fields(own, fields, depth - 1)

    def _add_fields(self, own: int, fields: "List[Any]", depth: int) -> bool:
        if len(self.parts) + len(self.numbers) > _MOST:
            return False
        parts = self.parts
        self.seen.add(own)
        for name, value in fields:
            if self.left <= 0:
                break
            if type(name) is not str:
                return False
            parts += (name, value) if (known := identity(type(value)) in _NUMBERS) else (name,)
            self.left -= len(name) + 2
            if not known and not self.add(value, depth):
                return False
        self.seen.discard(own)
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
