"""Reads objects without running a line of their code.

Attribute access may call properties, `__getattr__` and metaclasses. What is used here instead are
the descriptors that the interpreter itself put there, called unbound.
"""

from __future__ import annotations

import builtins
import sys
import types
from _weakref import ref

try:
    from _json import encode_basestring_ascii
except ImportError:
    from json.encoder import encode_basestring_ascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

quote: "Callable[[str], str]" = encode_basestring_ascii
"""A string as JSON, in ASCII."""

identity: "Callable[[Any], int]" = object.__hash__
"""A number for each object that is there, as `id` gives. But `id` raises an audit event at each call, and the
way through our own hook costs more than most of what it is asked for."""

_mro_of = type.__dict__["__mro__"].__get__
_dict_of = type.__dict__["__dict__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__
_flags_of = type.__dict__["__flags__"].__get__
_args_of = BaseException.__dict__["args"].__get__
_GetSet = types.GetSetDescriptorType
_Member = types.MemberDescriptorType
_HEAP_TYPE = 1 << 9
_STDLIB = frozenset(getattr(sys, "stdlib_module_names", ())) or frozenset(
    ("builtins", "json", "os", "socket", "subprocess", "decimal", "asyncio", "configparser", "unittest", "re")
)


def mro(cls: type) -> "Tuple[type, ...]":
    found = _mro_of(cls)
    return found if type(found) is tuple else (cls,)


def type_name(cls: type) -> str:
    """The qualified name, without the functions that the class was made in."""
    name = _qualname_of(cls)
    return name.rpartition("<locals>.")[2] if type(name) is str else "?"


def module_name(cls: type) -> str:
    try:
        name = _module_of(cls)
    except AttributeError:
        return ""
    return name if type(name) is str else ""


def genuine(cls: type) -> bool:
    """Whether the class is the very object that the loaded module holds under its name."""
    loaded = sys.modules.get(module_name(cls))
    return type(loaded) is types.ModuleType and vars(loaded).get(type_name(cls)) is cls


def derives(cls: type, base: type) -> bool:
    """Whether `base` is among the real bases; `__class__` and `__subclasscheck__` have no say."""
    return any(each is base for each in mro(cls))


def class_attribute(cls: type, name: str) -> Any:
    """What the class or a base holds under the name, unbound; None if nothing."""
    for base in mro(cls):
        found = _dict_of(base).get(name)
        if found is not None:
            return found
    return None


class PerClass:
    """Remembers what `find` tells of a class for as long as the class is there and has the same bases. It
    keeps no class alive and asks none for its hash."""

    def __init__(self, find: "Callable[[type], Any]") -> None:
        self._find = find
        self._known: "Dict[int, Tuple[Any, int, Any]]" = {}

    def of(self, cls: type) -> Any:
        known = self._known.get(identity(cls))
        if known is not None and known[0]() is cls and known[1] == identity(_mro_of(cls)):
            return known[2]
        if len(self._known) >= _MOST_CLASSES:
            self._known.clear()
        found = self._find(cls)
        self._known[identity(cls)] = ref(cls), identity(_mro_of(cls)), found
        return found


_MOST_CLASSES = 5000


def dict_owners(cls: type) -> "Tuple[int, ...]":
    """Where in its bases the descriptors of the instance dictionary stand. These hold their class, so none
    is kept here."""
    found = (_dict_of(base).get("__dict__") for base in mro(cls))
    return tuple(at for at, each in enumerate(found) if type(each) is _GetSet or type(each) is _Member)


_dict_owners_of = PerClass(dict_owners).of  # modules hold theirs in a member


def instance_dict(obj: Any) -> "Optional[Dict[str, Any]]":
    """The real instance dictionary, also where a class hides it behind a property; None without one."""
    return dict_by(obj, _dict_owners_of(type(obj)))


def dict_by(obj: Any, owners: "Tuple[int, ...]") -> "Optional[Dict[str, Any]]":
    """The same, for whoever knows the owners of the object's class already."""
    bases = mro(type(obj))
    for at in owners:
        try:
            held = _dict_of(bases[at])["__dict__"].__get__(obj)
        except (AttributeError, TypeError):
            continue
        return held if type(held) is dict else None
    return None


def slot_names(cls: type) -> "Tuple[Tuple[str, int], ...]":
    """The slots of classes written in Python, and where in its bases each stands."""
    bases = list(enumerate(mro(cls)))
    return tuple(
        (name, at)
        for at, base in reversed(bases)
        if _flags_of(base) & _HEAP_TYPE and "__slots__" in _dict_of(base)
        for name, found in list(_dict_of(base).items())
        if type(found) is _Member and type(name) is str
    )


def slots(obj: Any, names: "Tuple[Tuple[str, int], ...]") -> "List[Tuple[str, Any]]":
    """Those of its class's slots that are set."""
    found, bases = [], mro(type(obj))
    for name, at in names:
        member = _dict_of(bases[at]).get(name)
        if type(member) is not _Member:
            continue  # the program put something else in its place
        try:
            found.append((name, member.__get__(obj)))
        except (AttributeError, TypeError):
            continue
    return found


def is_made(cls: type) -> bool:
    """Whether a program made the class, rather than the interpreter or an extension."""
    return bool(_flags_of(cls) & _HEAP_TYPE)


def qualified_name(cls: type) -> Any:
    """What stands as its `__qualname__`: of a class that a program made, the very object each time."""
    return _qualname_of(cls)


def exception_args(exc: BaseException) -> "Tuple[Any, ...]":
    args = _args_of(exc)
    return args if type(args) is tuple else ()


def is_enum_member(obj: Any) -> bool:
    return holds_enum(instance_dict(obj))


def holds_enum(held: "Optional[Dict[str, Any]]") -> bool:
    """The same, of an instance dictionary."""
    return held is not None and type(held.get("_name_")) is str and "_value_" in held


def is_strings(fields: Any) -> bool:
    """Whether it is an exact tuple of exact strings, as a named tuple's `_fields` is."""
    return type(fields) is tuple and all(type(field) is str for field in fields)


def is_stdlib(cls: type) -> bool:
    return module_name(cls).partition(".")[0] in _STDLIB


def plain(args: "Tuple[Any, ...]") -> bool:
    """Whether all are exact strings, numbers or None, whose `str` and `repr` are nobody's."""
    return all(arg is None or type(arg) in (str, int, float, bool, bytes) for arg in args)


def dict_of(cls: type) -> "Mapping[str, Any]":
    """The class's own namespace, whatever its metaclass says."""
    return _dict_of(cls)  # type: ignore[no-any-return]


_context_of = BaseException.__dict__["__context__"].__get__
_cause_of = BaseException.__dict__["__cause__"].__get__
_suppressed = BaseException.__dict__["__suppress_context__"].__get__
_traceback_of = BaseException.__dict__["__traceback__"].__get__


def traceback_of(exc: BaseException) -> Any:
    return _traceback_of(exc)


def previous_exception(exc: BaseException) -> "Optional[BaseException]":
    """The cause, or the context unless it was suppressed."""
    cause = _cause_of(exc)
    if cause is not None:
        return cause  # type: ignore[no-any-return]
    return None if _suppressed(exc) else _context_of(exc)


def is_group(exc: BaseException) -> bool:
    return _GROUP is not None and derives(type(exc), _GROUP)


def group_members(exc: BaseException) -> "Tuple[BaseException, ...]":
    found = _GROUP.__dict__["exceptions"].__get__(exc) if _GROUP is not None else ()
    return tuple(found)


_GROUP: Any = getattr(builtins, "BaseExceptionGroup", None)
