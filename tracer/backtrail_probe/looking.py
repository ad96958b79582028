"""Evaluates what a person points at, without running a line of the program's code.

A name, an attribute, a subscript, and operators between plain values. What would call something of
the program's (a property, `__getattr__`, `__getitem__`, an operator of its classes) is refused, in words
that say what it is. The walk is over the syntax tree; Python's own `eval` has no part in it.
"""

from __future__ import annotations

import ast
import builtins
import operator
import sys
import types

from . import statics
from .builtin_values import ATOM_IDS
from .statics import identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

_MOST_ITEMS = 100_000  # of a dictionary that is searched
_MOST_TEXT = 100_000  # of what an operator may put together
_MISSING = object()
_NAMES = dict(vars(builtins))
_C_DESCRIPTORS = (types.GetSetDescriptorType, types.MemberDescriptorType)
_C_METHODS = (
    types.MethodDescriptorType, types.ClassMethodDescriptorType, types.WrapperDescriptorType, *_C_DESCRIPTORS,
)  # fmt: skip


def _locals_type() -> type:
    return type(sys._getframe().f_locals)


_LOCALS = _locals_type()
"""Of a function: a dictionary, or from 3.13 on a proxy of the interpreter's."""

_OPERATORS: "Dict[type, Callable[..., Any]]" = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_, ast.BitXor: operator.xor, ast.RShift: operator.rshift,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.USub: operator.neg, ast.UAdd: operator.pos,
    ast.Invert: operator.invert, ast.Not: operator.not_,
}  # fmt: skip


class Refused(Exception):
    """It would run code of the program, or is beyond what is evaluated here; the message says which."""


def look_up(expression: str, frame: Any) -> Any:
    """The value in a frame. Raises Refused, and what the expression itself raises."""
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Refused(f"it is no expression: {error}") from None
    return _Walk(frame).value(tree.body)


class _Walk:
    def __init__(self, frame: Any) -> None:
        self._scopes: Any = (frame.f_locals, frame.f_globals, _NAMES)

    def value(self, node: ast.expr) -> Any:
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise Refused(f"`{ast.unparse(node)}` could run code of the program")
        return method(node)

    def _name(self, node: ast.Name) -> Any:
        for scope in self._scopes:
            is_proxy = type(scope) is _LOCALS
            if statics.derives(type(scope), dict):
                found = dict.get(scope, node.id, _MISSING)
            elif is_proxy:
                found = scope.get(node.id, _MISSING)
            else:
                raise Refused("the namespace of this class body is of a type of the program's")
            if found is not _MISSING:
                return found
        raise NameError(f"name {node.id!r} is not defined")

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _tuple(self, node: ast.Tuple) -> Any:
        return tuple([self.value(each) for each in node.elts])

    def _list(self, node: ast.List) -> Any:
        return [self.value(each) for each in node.elts]

    def _attribute(self, node: ast.Attribute) -> Any:
        return attribute(self.value(node.value), node.attr)

    def _slice(self, node: ast.Slice) -> Any:
        parts = (node.lower, node.upper, node.step)
        return slice(*[None if part is None else self.value(part) for part in parts])

    def _subscript(self, node: ast.Subscript) -> Any:
        return item(self.value(node.value), self.value(node.slice))

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        return _operate(node.op, self.value(node.operand))

    def _binop(self, node: ast.BinOp) -> Any:
        return _operate(node.op, self.value(node.left), self.value(node.right))

    def _boolop(self, node: ast.BoolOp) -> Any:
        found: Any = None
        for each in node.values:
            found = self.value(each)
            _plain(found)
            if bool(found) is isinstance(node.op, ast.Or):
                break
        return found

    def _compare(self, node: ast.Compare) -> Any:
        left = self.value(node.left)
        for op, other in zip(node.ops, node.comparators):
            right = self.value(other)
            same = isinstance(op, ast.Is)
            if same or isinstance(op, ast.IsNot):
                if (left is right) is not same:
                    return False
            elif not _operate(op, left, right):
                return False
            left = right
        return True


def _plain(value: Any) -> None:
    if identity(type(value)) not in ATOM_IDS:
        raise Refused(f"an operator of {statics.type_name(type(value))} could run code of the program")


def _operate(op: ast.AST, *operands: Any) -> Any:
    for operand in operands:
        _plain(operand)
        if isinstance(operand, (str, bytes)) and len(operand) > _MOST_TEXT:
            raise Refused("the texts are too long to be put together here")
    function = _OPERATORS.get(type(op))
    if function is None or (isinstance(op, ast.Mod) and type(operands[0]) in (str, bytes)):
        raise Refused(f"the operator {type(op).__name__} is not evaluated without being asked for")
    return function(*operands)


def attribute(obj: Any, name: str) -> Any:
    """What `obj.name` is, as `object.__getattribute__` finds it. Raises Refused and AttributeError."""
    if statics.derives(type(obj), type):
        return _of_class(obj, name)
    kind = type(obj)
    label = f"{statics.type_name(kind)}.{name}"
    if statics.class_attribute(kind, "__getattribute__") not in _USUAL:
        raise Refused(f"{statics.type_name(kind)} has a `__getattribute__` of its own")
    on_class = _in_classes(kind, name)
    if isinstance(on_class, _C_DESCRIPTORS):
        return on_class.__get__(obj)
    if on_class is not _MISSING and _is_data(type(on_class)):
        raise Refused(f"`{label}` is {_described(on_class)}, which would run its code")
    held = statics.instance_dict(obj)
    if held is not None and name in held:
        return held[name]
    if on_class is not _MISSING:
        return _bound(on_class, obj, kind, label)
    if statics.class_attribute(kind, "__getattr__") is not None:
        raise Refused(f"{statics.type_name(kind)} has a `__getattr__`, which would run")
    raise AttributeError(f"{statics.type_name(kind)!r} object has no attribute {name!r}")


def _of_class(cls: type, name: str) -> Any:
    """An attribute of a class, whose metaclass could have a say in it."""
    label = f"{statics.type_name(cls)}.{name}"
    members = statics.dict_of(cls).get("_member_map_")
    if type(members) is dict and name in members:
        return members[name]
    meta = _MISSING if type(cls) is type else _in_classes(type(cls), name)
    if meta is not _MISSING and not isinstance(meta, _C_DESCRIPTORS):
        raise Refused(f"the metaclass of {statics.type_name(cls)} has a `{name}`, which could run code")
    found = _in_classes(cls, name)
    if found is not _MISSING:
        return _bound(found, None, cls, label)
    found = _in_classes(type(cls), name)
    if isinstance(found, _C_DESCRIPTORS):
        return found.__get__(cls)
    if statics.class_attribute(type(cls), "__getattr__") is not None:
        raise Refused(f"the metaclass of {statics.type_name(cls)} has a `__getattr__`, which would run")
    raise AttributeError(f"type object {statics.type_name(cls)!r} has no attribute {name!r}")


def _bound(found: Any, obj: Any, cls: type, label: str) -> Any:
    """What a class holds, as it comes out of an instance (or, for None, of the class)."""
    kind = type(found)
    if kind is types.FunctionType:
        return found if obj is None else types.MethodType(found, obj)
    if kind is staticmethod:
        return found.__func__
    if kind is classmethod:
        return types.MethodType(found.__func__, cls)
    if isinstance(found, _C_METHODS):
        return found if obj is None else found.__get__(obj, cls)
    if kind is property and obj is None:
        return found
    if statics.class_attribute(kind, "__get__") is not None:
        raise Refused(f"`{label}` is {_described(found)}, which would run its code")
    return found


def _in_classes(cls: type, name: str) -> Any:
    for base in statics.mro(cls):
        found = statics.dict_of(base).get(name, _MISSING)
        if found is not _MISSING:
            return found
    return _MISSING


def _is_data(kind: type) -> bool:
    """Whether objects of this type, held by a class, come before what an instance holds."""
    setters = ("__set__", "__delete__")
    return any(statics.class_attribute(kind, name) is not None for name in setters)


def _described(found: Any) -> str:
    return "a property" if statics.derives(type(found), property) else f"a {statics.type_name(type(found))}"


def item(obj: Any, key: Any) -> Any:
    """What `obj[key]` is, for containers whose lookup is the interpreter's. Raises Refused, LookupError."""
    kind = type(obj)
    for part in (key.start, key.stop, key.step) if type(key) is slice else (key,):
        if identity(type(part)) not in ATOM_IDS and not (type(part) is tuple and statics.plain(part)):
            raise Refused(f"a key of type {statics.type_name(type(part))} could run code of the program")
    found = statics.class_attribute(kind, "__getitem__")
    if found is dict.__getitem__:
        return _of_dict(obj, key)
    if statics.derives(kind, type) or found is None:
        raise Refused(f"{statics.type_name(kind)} has no lookup that is known to run no code")
    # Written in C, of a type of the interpreter or of an extension such as numpy: none of the program's.
    owner = getattr(found, "__objclass__", None)
    if type(found) not in (types.WrapperDescriptorType, types.MethodDescriptorType) or owner is None:
        raise Refused(f"{statics.type_name(kind)} has a `__getitem__` of its own")
    return found(obj, key)


def _of_dict(obj: "Dict[Any, Any]", key: Any) -> Any:
    """Keys of the program's types are passed over: to compare with one could call its `__eq__`."""
    if dict.__len__(obj) > _MOST_ITEMS:
        raise Refused(f"the dictionary has more than {_MOST_ITEMS:,} items")
    for each, value in list(dict.items(obj)):
        known = identity(type(each)) in ATOM_IDS or (type(each) is tuple and statics.plain(each))
        if known and each == key:
            return value
    raise KeyError(key)


_USUAL = tuple(statics.dict_of(each)["__getattribute__"] for each in (object, types.ModuleType, type))
