"""What is known of built-in types: how their items are had and how those without parts are shown."""

from __future__ import annotations

import types
from collections import deque
from itertools import islice

from . import statics
from .redact import SHORTEST
from .statics import identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

ATOMS = frozenset((int, float, bool, type(None), str, bytes, complex))
"""Exact types whose values never change and whose end nobody notices: a reference to one does no harm."""

ATOM_IDS = frozenset(map(identity, ATOMS))
"""The same by identity, to be asked of any type: a metaclass may have a `__hash__` of its own."""

ITEMS: "Dict[Any, Tuple[str, str, bool]]" = {
    list: ("[", "]", False),
    tuple: ("(", ")", False),
    set: ("{", "}", False),
    frozenset: ("{", "}", True),
    dict: ("{", "}", False),
    deque: ("[", "]", True),
}
"""Container -> opening, closing, and whether the type's name stands before them."""

SIZES: Any = frozenset((*ITEMS, str, bytes, bytearray, range))
_SORTABLE = (int, str)
_INT, _STR, _SHORT = identity(int), identity(str), frozenset(map(identity, (float, bool, type(None))))
_SMALL = 1 << 62


def _named(kind: str) -> "Callable[[Any], str]":
    def show(obj: Any) -> str:
        # __qualname__ of these types is kept by the interpreter as an exact string.
        return f"<{kind} {obj.__qualname__.rpartition('<locals>.')[2]}>"

    return show


def _module(obj: Any) -> str:
    name = (statics.instance_dict(obj) or {}).get("__name__")
    return f"<module {name}>" if type(name) is str else "<module>"


def _bound(obj: Any) -> str:
    return f"<method {getattr(obj.__func__, '__qualname__', '?') if _is_function(obj.__func__) else '?'}>"


def _is_function(obj: Any) -> bool:
    return type(obj) in (types.FunctionType, types.BuiltinFunctionType)


SIMPLE: "Dict[Any, Callable[[Any], str]]" = {
    float: float.__repr__,
    complex: complex.__repr__,
    bool: bool.__repr__,
    range: range.__repr__,
    type(None): repr,
    type(...): repr,
    type(NotImplemented): repr,
    types.FunctionType: _named("function"),
    types.BuiltinFunctionType: _named("built-in function"),
    types.MethodType: _bound,
    types.GeneratorType: _named("generator"),
    types.CoroutineType: _named("coroutine"),
    types.AsyncGeneratorType: _named("async generator"),
    types.ModuleType: _module,
    types.CodeType: lambda obj: f"<code {obj.co_name}>",
    type: lambda obj: f"<class {statics.type_name(obj)}>",
    object: lambda obj: "<object>",
}

EXACT: "Dict[int, Any]" = {
    identity(base): base for base in (*ITEMS, *SIMPLE, str, bytes, bytearray, int, BaseException)
}
"""The identity of a built-in type whose values are shown in a way of their own -> the type."""

_BASES = frozenset(EXACT) - {identity(object)}


def builtin_base(cls: type) -> Any:
    """The nearest built-in type that the class is or derives from; None for everything else.

    Compared by identity: a metaclass may define `__hash__` and `__eq__`.
    """
    exact = EXACT.get(identity(cls))
    return _derived_base_of(cls) if exact is None else exact


def _derived_base(cls: type) -> Any:
    return next((base for base in statics.mro(cls) if identity(base) in _BASES), None)


_derived_base_of = statics.PerClass(_derived_base).of


def all_plain(items: "List[Any]") -> bool:
    """Whether all are exact values of one type with a short `repr`; strings too short for a secret."""
    kinds = set(map(identity, map(type, items)))
    if len(kinds) != 1:
        return False
    (kind,) = kinds
    if kind == _INT:
        return bool(-_SMALL < min(items) and max(items) < _SMALL)
    return kind in _SHORT or (kind == _STR and max(map(len, items)) < SHORTEST)


def head(obj: Any, base: Any, count: int) -> "List[Any]":
    """The first `count` items, of a dict as pairs; small sets of one plain type in order."""
    if base is dict:
        return list(islice(dict.items(obj), count))
    if base is list or base is tuple:
        return list(base.__getitem__(obj, slice(0, count)))
    found = list(islice(base.__iter__(obj), count))
    if base in (set, frozenset) and base.__len__(obj) <= count and _same_plain_type(found):
        found.sort()
    return found


def _same_plain_type(items: "List[Any]") -> bool:
    kinds: "Optional[type]" = type(items[0]) if items else None
    return kinds in _SORTABLE and all(type(item) is kinds for item in items)
