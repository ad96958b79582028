"""Safe rendering of values as JSON text: `["int","5"]` or `["list","[1, 2]",{"id":…,"len":2}]`.

Nothing of the user's is called. Exact built-in types are rendered by themselves, their subclasses
through the methods of the built-in base, everything else by its instance dictionary and slots.
"""

from __future__ import annotations

from itertools import islice

from . import statics
from .builtin_values import ATOM_IDS, ATOMS, EXACT, ITEMS, SIMPLE, SIZES, all_plain, builtin_base, head
from .foreign import describe
from .kinds import Kind, kind_of
from .likeness import Credit, Look
from .redact import MARK, SHORTEST, Redactor, is_password
from .statics import identity, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set, Tuple

    _Table = Dict[Any, str]
else:
    _Table = dict

_UNREADABLE = (AttributeError, LookupError, RecursionError, RuntimeError, TypeError, ValueError)
_TRIES = 5
_UNPARSED = (SyntaxError, IndentationError, TabError)
_NO_ID = frozenset((*ATOMS, tuple, frozenset, range))
_NO_LIMIT = 1 << 30
_SMALL = 1 << 62  # an int below it is rendered at once
_KEPT_INT = 4096
_LONGEST_KEPT, _MOST_KEPT = 200, 2000  # characters of a string, strings
_BITS_PER_DIGIT = 3.33
_SHORT_BITS = 512
_MARGIN = 512  # characters beyond the cut in which the end of a secret is looked for


class _Text:
    """What one rendering has put together so far; `left` is the room in characters."""

    __slots__ = ("cut", "left", "mutable", "parts", "redacted", "seen", "shape")

    def __init__(self, chars: int) -> None:
        self.parts: List[str] = []
        self.left = chars
        self.cut = False
        self.mutable = False  # of the whole value, not of a part
        self.redacted = False
        self.seen: Set[int] = set()
        self.shape: Optional[str] = None

    def put(self, piece: str) -> None:
        self.parts.append(piece)
        self.left -= len(piece)


class Renderer:
    """`chars`, `items`, `depth` are the caps of one value; 0 is no limit."""

    def __init__(self, chars: int, items: int, depth: int, redactor: Redactor) -> None:
        self._chars = chars or _NO_LIMIT
        self._items = items or _NO_LIMIT
        self._depth = depth or 50
        self._redactor = redactor
        self._strings = StringTexts(self._whole)
        self._last: Dict[int, Tuple[Look, str]] = {}  # by identity: how it looked, and its text
        self._credit = Credit()
        redactor.on_new += (self._strings.clear, self._last.clear)  # there may be a secret in what is kept

    def render(self, obj: Any) -> str:
        """The value as JSON text. Whatever the object is, nothing is raised."""
        cls = type(obj)
        if cls is int and -_SMALL < obj < _SMALL:
            return f'["int","{obj}"]'
        if cls is float or cls is bool or obj is None:
            return f'["{cls.__name__}","{obj!r}"]'
        try:
            return self._strings[obj] if cls is str else self._anew(obj, cls)
        except _UNREADABLE as error:
            return self._once_more(obj, cls, error)

    def _once_more(self, obj: Any, cls: type, error: Exception) -> str:
        """Another thread changed the object in between, or it is half made."""
        for _ in range(_TRIES if type(error) is RuntimeError else 0):  # "changed size during iteration"
            try:
                return self._whole(obj, cls)
            except _UNREADABLE as another:
                error = another
        return f'[{quote(statics.type_name(cls))},"<not readable: {type(error).__name__}>",{{"cut":true}}]'

    def _anew(self, obj: Any, cls: type) -> str:
        """Renders what is not as it was."""
        kind = identity(cls)
        if kind in ATOM_IDS or not self._credit.pays(kind):
            return self._whole(obj, cls)
        looks = Look(self._chars, self._items)
        known = looks.add(obj, self._depth)
        last = self._last.get(identity(obj)) if known else None
        was_like = last is not None and looks.is_like(last[0])
        self._credit.learn(kind, was_like)
        if last is not None and was_like:
            return last[1]
        text = self._whole(obj, cls)
        if not known:
            return text
        if len(self._last) >= _MOST_KEPT:
            self._last.clear()
        self._last[identity(obj)] = looks, text
        return text

    def hide(self, text: str) -> "tuple[str, bool]":
        return self._redactor.hide(text)

    def learn(self, source: str) -> None:
        self._redactor.learn(source)

    def learn_by_name(self, name: str, value: str) -> None:
        self._redactor.learn_by_name(name, value)

    def message(self, exc: BaseException) -> str:
        """What `str(exc)` would say, without calling it: exceptions of the user may override it."""
        args = statics.exception_args(exc)
        if isinstance(exc, SyntaxError) and type(exc) in _UNPARSED:
            if statics.plain((exc.msg, exc.filename, exc.lineno)):  # "invalid syntax (tides.py, line 3)"
                return self._redactor.hide(str(exc)[: self._chars * 4])[0]
        own = "__str__" in statics.dict_of(type(exc)) and not statics.is_stdlib(type(exc))
        if not own and len(args) == 1 and type(args[0]) is str and not statics.derives(type(exc), KeyError):
            shown = self._redactor.hide(args[0][: self._chars * 8])[0]
            return shown if len(shown) <= self._chars * 4 else shown[: self._chars * 4] + "…"
        if not own and statics.is_stdlib(type(exc)) and statics.plain(args):
            return self._redactor.hide(str(exc)[: self._chars * 4])[0]
        text = _Text(self._chars * 2)
        for number, arg in enumerate(args):
            text.put(", " if number else "")
            self._walk(arg, type(arg), self._depth, text)
        return "".join(text.parts)

    def _whole(self, obj: Any, cls: type) -> str:
        text = _Text(self._chars)
        self._walk(obj, cls, self._depth, text)
        whole = "".join(text.parts)
        if len(whole) > self._chars:
            whole = whole[: self._chars - 1] + "…"
            text.cut = True
        meta = self._meta(obj, cls, text)
        return f"[{quote(statics.type_name(cls))},{quote(whole)}{meta}]"

    def _meta(self, obj: Any, cls: type, text: _Text) -> str:
        parts = []
        base = builtin_base(cls)
        if text.mutable or base is bytearray or (base in ITEMS and base not in _NO_ID):
            parts.append(f'"id":{id(obj)}')
        if base in SIZES:
            parts.append(f'"len":{base.__len__(obj)}')
        if text.shape:
            parts.append(f'"shape":{quote(text.shape)}')
        if text.cut:
            parts.append('"cut":true')
        if text.redacted:
            parts.append('"redacted":true')
        return ",{" + ",".join(parts) + "}" if parts else ""

    def _walk(self, obj: Any, cls: type, depth: int, text: _Text) -> None:
        if text.left <= 0:
            text.cut = True
            return
        if (cls is int and -_SMALL < obj < _SMALL) or cls is float or cls is bool or obj is None:
            text.put(repr(obj))
            return
        if cls is str and len(obj) < SHORTEST < text.left:
            text.put(repr(obj))
            return
        base, kind = EXACT.get(identity(cls)), None
        if base is None:
            kind = kind_of(cls)
            base = kind.base
        if base is str:
            self._string(obj, text)
        elif base is bytes or base is bytearray:
            self._bytes(base, obj, text)
        elif base is int and (cls is int or not statics.is_enum_member(obj)):
            self._int(obj, text)
        elif base in ITEMS:
            self._container(obj, cls, base, depth, text)
        elif base is BaseException:
            parts = [("", arg) for arg in statics.exception_args(obj)]
            self._call(statics.type_name(cls), parts, obj, depth, text)
        elif base in SIMPLE:
            text.put(SIMPLE[base](obj))
        else:
            self._object(obj, cls, kind or kind_of(cls), depth, text)

    def _string(self, obj: str, text: _Text) -> None:
        shown, redacted = self._redactor.hide(str.__getitem__(obj, slice(0, text.left + _MARGIN)))
        text.redacted |= redacted
        if len(shown) > text.left or (not redacted and str.__len__(obj) > len(shown)):
            text.cut = True
            shown = shown[: max(text.left - 3, 1)] + "…"
        text.put(repr(shown))

    def _bytes(self, base: Any, obj: Any, text: _Text) -> None:
        start = bytes(base.__getitem__(obj, slice(0, text.left + _MARGIN)))
        shown, redacted = self._redactor.hide(start.decode("latin-1"))
        if redacted:
            text.redacted = True
            body = f"b{shown!r}"
        elif base.__len__(obj) > text.left:
            text.cut = True
            body = repr(start[: max(text.left - 4, 1)]) + "…"
        else:
            body = repr(start)
        text.put(f"bytearray({body})" if base is bytearray else body)

    def _int(self, obj: int, text: _Text) -> None:
        bits = int.bit_length(obj)
        if bits <= max(text.left * _BITS_PER_DIGIT, _SHORT_BITS):
            text.put(int.__repr__(obj))
            return
        text.cut = True
        sign = "-" if int.__lt__(obj, 0) else ""
        text.put(f"{sign}0x{int.__rshift__(int.__abs__(obj), bits - 64):x}… ({bits} bits)")

    def _container(self, obj: Any, cls: type, base: Any, depth: int, text: _Text) -> None:
        name = statics.type_name(cls)
        fields = statics.class_attribute(cls, "_fields") if base is tuple and cls is not tuple else None
        if statics.is_strings(fields):
            self._call(name, list(zip(fields or (), tuple.__iter__(obj))), obj, depth, text)
            return
        opening, closing, wrapped = ITEMS[base]
        wrapped = wrapped or cls is not base
        size = base.__len__(obj)
        text.put(name + "(" if wrapped else "")
        if identity(obj) in text.seen or (depth <= 0 and size):
            text.cut |= identity(obj) not in text.seen
            text.put(opening + "..." + closing)
        elif size or not (wrapped and base is frozenset):
            text.seen.add(identity(obj))
            text.put("set()" if base is set and not size else opening)
            self._items_of(obj, base, size, depth, text)
            text.put("" if base is set and not size else closing)
            text.seen.discard(identity(obj))
        text.put(")" if wrapped else "")

    def _items_of(self, obj: Any, base: Any, size: int, depth: int, text: _Text) -> None:
        items = head(obj, base, self._items)
        if base is not dict and items and all_plain(items):
            text.put(repr(items)[1:-1])
            items = []
        for number, item in enumerate(items):
            if text.left <= 0:
                text.cut = True
                return
            between, value = ", " if number else "", item
            if base is dict:
                text.put(between)
                self._walk(item[0], type(item[0]), depth - 1, text)
                between, value = ": ", item[1]
                if type(item[0]) is str and type(value) is str and self._is_password(item[0], value):
                    text.put(between + repr(MARK))
                    text.redacted = True
                    continue
            kind = type(value)
            if kind is int and -_SMALL < value < _SMALL:  # most items are, and a call each is dear
                text.put(f"{between}{value}")
            else:
                text.put(between)
                self._walk(value, kind, depth - 1, text)
        if size > self._items:
            text.put(", …")
            text.cut = True
        elif size == 1 and base is tuple:
            text.put(",")

    def _is_password(self, name: str, value: str) -> bool:
        """Under this key of a dictionary; a key of a machine's is learned, to be hidden elsewhere too."""
        self._redactor.learn_by_name(name, value)
        return is_password(name, value)

    def _call(self, name: str, parts: Any, obj: Any, depth: int, text: _Text) -> None:
        """`Name(field=value, …)`, of at most twice as many fields as a container shows items."""
        text.put(name + "(")
        if identity(obj) in text.seen or (depth <= 0 and parts):
            text.cut |= identity(obj) not in text.seen
            text.put("...")
            parts = ()
        text.seen.add(identity(obj))
        for number, (field, value) in enumerate(parts):
            between, kind = ", " if number else "", type(value)
            if number >= self._items * 2 or text.left <= len(between):
                text.cut = True
                text.put(between + "…")
                break
            if field:
                between = f"{between}{field}="
            if kind is str:
                self._redactor.learn_by_name(field, value)
            if kind is int and -_SMALL < value < _SMALL and text.left > len(between):
                text.put(f"{between}{value}")
            else:
                text.put(between)
                self._walk(value, kind, depth - 1, text)
        text.seen.discard(identity(obj))
        text.put(")")

    def _object(self, obj: Any, cls: type, kind: Kind, depth: int, text: _Text) -> None:
        known = describe(obj, cls, self._items) if kind.foreign else None
        if known is not None:
            if not text.parts:
                text.shape, text.mutable = known.shape, known.mutable
            text.cut |= known.cut
            text.put(self._redactor.hide(known.text)[0])
            return
        held = kind.dict_of(obj)
        name = statics.type_name(cls)
        text.mutable |= not text.parts
        if held is not None and statics.holds_enum(held):
            text.put(f"<{name}.{held['_name_']}: ")
            self._walk(held["_value_"], type(held["_value_"]), depth - 1, text)
            text.put(">")
            return
        parts = statics.slots(obj, kind.slots) if kind.slots else []
        if held:
            named = (pair for pair in list(held.items()) if type(pair[0]) is str)
            parts += islice(named, 2 * self._items + 1)  # more are not shown
        if parts or held is not None:
            self._call(name, parts, obj, depth, text)
        else:
            text.put(f"<{name}>")


class IntTexts(_Table):
    """Exact int -> the value as JSON text; the small ones, which come again and again, are kept."""

    def __init__(self, render: "Callable[[Any], str]") -> None:
        super().__init__()
        self._render = render

    def __missing__(self, value: int) -> str:
        if not -_SMALL < value < _SMALL:
            return self._render(value)
        text = f'["int","{value}"]'
        if -_KEPT_INT < value < _KEPT_INT:
            self[value] = text
        return text


class StringTexts(_Table):
    """Exact str -> the value as JSON text, of those that are not long."""

    def __init__(self, render: "Callable[[Any, type], str]") -> None:
        super().__init__()
        self._render = render

    def __missing__(self, value: str) -> str:
        text = self._render(value, str)
        if len(value) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[value] = text
        return text
