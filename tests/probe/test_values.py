"""Values are rendered truthfully, within their caps, and without running a line of the user's code."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import pathlib
import uuid
from typing import Any

import attrs
import numpy
import pytest

from backtrail_probe.redact import Redactor
from backtrail_probe.values import Renderer


def render(value: Any, chars: int = 160, items: int = 8, depth: int = 3) -> tuple[str, str, dict[str, Any]]:
    kind, text, *meta = json.loads(Renderer(chars, items, depth, Redactor({})).render(value))
    return kind, text, meta[0] if meta else {}


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Stack(list):  # type: ignore[type-arg]
    pass


class Slotted:
    __slots__ = ("x", "y")

    def __init__(self) -> None:
        self.x = 1


@dataclasses.dataclass
class Point:
    x: int
    y: int = 2


@attrs.define
class Pair:
    left: int
    right: list[int]


Named = collections.namedtuple("Named", "first second")


class Plain:
    def __init__(self) -> None:
        self.name = "it"
        self._inner = [1]


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (5, "int", "5"),
        (True, "bool", "True"),
        (None, "NoneType", "None"),
        (-0.0, "float", "-0.0"),
        (float("nan"), "float", "nan"),
        (1j, "complex", "1j"),
        ("it's", "str", '"it\'s"'),
        ("ünï\n", "str", "'ünï\\n'"),
        (b"a\x00", "bytes", "b'a\\x00'"),
        (bytearray(b"a"), "bytearray", "bytearray(b'a')"),
        ([1, "a", None], "list", "[1, 'a', None]"),
        ((1,), "tuple", "(1,)"),
        ((), "tuple", "()"),
        ({3, 1, 2}, "set", "{1, 2, 3}"),
        (set(), "set", "set()"),
        (frozenset({1}), "frozenset", "frozenset({1})"),
        ({"a": {"b": [1]}}, "dict", "{'a': {'b': [1]}}"),
        (range(3), "range", "range(0, 3)"),
        (collections.deque([1]), "deque", "deque([1])"),
        (collections.Counter("aab"), "Counter", "Counter({'a': 2, 'b': 1})"),
        (collections.OrderedDict(a=1), "OrderedDict", "OrderedDict({'a': 1})"),
        (Stack([1]), "Stack", "Stack([1])"),
        (Named(1, [2]), "Named", "Named(first=1, second=[2])"),
        (Point(1), "Point", "Point(x=1, y=2)"),
        (Pair(1, [2]), "Pair", "Pair(left=1, right=[2])"),
        (Slotted(), "Slotted", "Slotted(x=1)"),
        (Plain(), "Plain", "Plain(name='it', _inner=[1])"),
        (Color.RED, "Color", "<Color.RED: 1>"),
        (Level.LOW, "Level", "<Level.LOW: 1>"),
        (pathlib.PurePosixPath("/a/b"), "PurePosixPath", "PurePosixPath('/a/b')"),
        (pathlib.Path("a/b"), type(pathlib.Path()).__name__, f"{type(pathlib.Path()).__name__}('a/b')"),
        (datetime.date(2020, 1, 2), "date", "datetime.date(2020, 1, 2)"),
        (datetime.datetime(2020, 1, 2, 3), "datetime", "datetime.datetime(2020, 1, 2, 3, 0)"),
        (
            datetime.datetime(2020, 1, 2, 3, tzinfo=datetime.UTC),
            "datetime",
            "datetime.datetime(2020, 1, 2, 3, 0, tzinfo=datetime.timezone.utc)",
        ),
        (datetime.timedelta(seconds=1), "timedelta", "datetime.timedelta(seconds=1)"),
        (decimal.Decimal("1.50"), "Decimal", "Decimal('1.50')"),
        (fractions.Fraction(1, 3), "Fraction", "Fraction(1, 3)"),
        (uuid.UUID(int=1), "UUID", "UUID('00000000-0000-0000-0000-000000000001')"),
        (KeyError("a"), "KeyError", "KeyError('a')"),
        (len, "builtin_function_or_method", "<built-in function len>"),
        (Point, "type", "<class Point>"),
        (json, "module", "<module json>"),
        (numpy.arange(3), "ndarray", "array([0, 1, 2], dtype=int64)"),
        (numpy.float64(1.5), "float64", "1.5"),
    ],
)
def test_rendering(value: Any, kind: str, text: str) -> None:
    assert render(value)[:2] == (kind, text)


def test_what_is_known_beyond_the_text() -> None:
    items = [1, 2]
    assert render(items)[2] == {"id": id(items), "len": 2}
    assert render("abc")[2] == {"len": 3}
    assert render((1, 2))[2] == {"len": 2}
    assert render(numpy.zeros((2, 3)))[2]["shape"] == "2x3"
    assert render(5)[2] == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (list(range(20)), "[0, 1, 2, …]"),
        ("x" * 100, "'" + "x" * 37 + "…'"),
        ([[[[1]]]], "[[[...]]]"),
        ({n: n for n in range(9)}, "{0: 0, 1: 1, 2: 2, …}"),
        ([10**30] * 3, "[1000000000000000000000000000000, 10000…"),
        (10**5000, "0x{top:x}… (16610 bits)"),
        (-(10**5000), "-0x{top:x}… (16610 bits)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "value",
)
def test_caps(value: Any, text: str) -> None:
    _, shown, meta = render(value, chars=40, items=3, depth=2)
    assert shown == text.replace("{top:x}", f"{10**5000 >> 16610 - 64:x}")
    assert len(shown) <= 40
    assert meta["cut"] is True


def test_a_huge_value_costs_no_more_than_a_small_one() -> None:
    import time

    huge = ["x" * 1_000_000, list(range(1_000_000)), 10**1_000_000, {n: n for n in range(300_000)}]
    begun = time.process_time()
    for _ in range(20):
        for value in huge:
            render(value)
    assert (time.process_time() - begun) / 80 < 0.001


def test_cycles() -> None:
    items: list[Any] = [1]
    items.append(items)
    assert render(items)[1] == "[1, [...]]"
    plain = Plain()
    plain._inner = [plain]  # type: ignore[list-item]
    assert render(plain)[1] == "Plain(name='it', _inner=[Plain(...)])"


class Bomb(Exception):
    pass


def explode(*_: Any, **__: Any) -> Any:
    raise Bomb


HOOKS = [
    "__repr__",
    "__str__",
    "__len__",
    "__iter__",
    "__eq__",
    "__hash__",
    "__bool__",
    "__getattr__",
    "__getattribute__",
    "__getitem__",
    "__contains__",
    "__format__",
    "__int__",
    "__index__",
    "__float__",
    "__bytes__",
    "__lt__",
    "__dir__",
    "__sizeof__",
    "__reduce__",
    "__call__",
    "__next__",
    "keys",
    "items",
]


def hostile_classes() -> list[type]:
    """A class for each base, with every hook a bomb; and with a metaclass whose hooks are bombs too."""
    names = [
        "__repr__",
        "__eq__",
        "__getattribute__",
        "__instancecheck__",
        "__subclasscheck__",
        "__call__",
        "mro",
    ]
    body = dict.fromkeys(names, explode)
    body |= {"__hash__": lambda cls: 1, "mro": type.mro, "__name__": property(explode)}
    meta = type("Meta", (type,), body)
    bases = (object, list, dict, tuple, set, frozenset, str, bytes, int, float, collections.deque, Exception)
    hooks = {**dict.fromkeys(HOOKS, explode), "__class__": property(explode), "boom": property(explode)}
    made = []
    for base in bases:
        made.append(type("Hostile", (base,), dict(hooks)))
        made.append(meta("HostileToo", (base,), dict(hooks)))
        made.append(type("Hidden", (base,), {**hooks, "__dict__": property(explode)}))
    return made


@pytest.mark.parametrize("number", range(len(hostile_classes())))
def test_no_hook_of_a_hostile_class_is_called(number: int) -> None:
    # By number: pytest itself would trip over these classes.
    cls = hostile_classes()[number]
    instance = type.__dict__["__mro__"].__get__(cls)[1].__new__(cls)
    for value in (instance, [instance], {"key": instance}, (instance, instance), Point(instance)):
        kind, text, _ = render(value)
        assert "not readable" not in text
        assert kind in ("Hostile", "HostileToo", "Hidden", "list", "dict", "tuple", "Point")


def test_a_lying_class_and_a_fake_numpy() -> None:
    class Liar:
        @property
        def __class__(self) -> Any:  # type: ignore[override]
            return list

    ndarray = type(
        "ndarray", (), {"__module__": "numpy", "shape": property(explode), "flat": property(explode)}
    )
    assert render(Liar())[:2] == ("Liar", "Liar()")
    assert render(ndarray())[:2] == ("ndarray", "ndarray()")


def test_an_exception_message_is_had_without_its_str() -> None:
    class Loud(ValueError):
        def __str__(self) -> str:
            raise Bomb

    renderer = Renderer(160, 8, 3, Redactor({}))
    assert renderer.message(Loud("quiet", 2)) == "'quiet', 2"
    assert renderer.message(ValueError("plain")) == "plain"
    assert renderer.message(KeyError("k")) == "'k'"
    assert renderer.message(FileNotFoundError(2, "No such file", "x")) == "[Errno 2] No such file: 'x'"
