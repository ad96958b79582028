"""What is told of a value without rendering it anew is what rendering it anew would tell."""

from __future__ import annotations

import collections
import enum
import gc
import sys
import threading
import weakref
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrail_probe.likeness import Credit
from backtrail_probe.redact import Redactor
from backtrail_probe.values import Renderer


class Thing:
    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


class Other:
    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


class Slotted(Thing):
    __slots__ = ("more",)


class Slots:
    __slots__ = ("a", "b", "c")

    def __init__(self, **held: Any) -> None:
        for name, value in held.items():
            setattr(self, name, value)


class Listed(list[Any]):
    """A container of the program's own."""


class Pair(NamedTuple):
    one: Any
    other: Any


class Colour(enum.Enum):
    RED = (1, [2])
    BLUE = "b"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 400


def renderer(chars: int = 120) -> Renderer:
    return Renderer(chars, 4, 3, Redactor({}))


atoms = st.one_of(
    st.integers(-3, 400),
    st.sampled_from([0.0, -0.0, 1.0, True, None, "a", "b" * 30, "b" * 300, b"x", 1j, 10**30]),
    st.sampled_from([*Colour, *Level, len, print, Thing, Colour, range(3), Decimal("1.5"), Path("a")]),
)
names = st.sampled_from("abc")
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=6).map(collections.deque),
        st.dictionaries(names, inner, max_size=3),
        st.dictionaries(names, inner, max_size=3).map(lambda held: Thing(**held)),
        st.dictionaries(names, inner, max_size=3).map(lambda held: Other(**held)),
        st.dictionaries(names, inner, max_size=3).map(lambda held: Slots(**held)),
        st.lists(inner, max_size=3).map(Listed),
        st.tuples(inner, inner).map(lambda pair: Pair(*pair)),
        st.lists(inner, max_size=2).map(lambda args: ValueError(*args)),
        st.sets(st.integers(0, 9), max_size=6),
        st.sets(st.text("ab", max_size=40), max_size=4),
    ),
    max_leaves=12,
)


def places(value: Any) -> list[Any]:
    """All that can be changed in a value, itself among them."""
    found, waiting = [], [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, (list, collections.deque, tuple)):
            waiting += list(one)
        elif isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, (Thing, Other)):
            waiting += vars(one).values()
        elif isinstance(one, Slots):
            waiting += [getattr(one, name) for name in "abc" if hasattr(one, name)]
        elif isinstance(one, ValueError):
            waiting += one.args
        if isinstance(one, (list, collections.deque, dict, set, Thing, Other, Slots)):
            found.append(one)
    return found


def change(place: Any, name: str, new: Any) -> None:
    """One small change, of which many change nothing that is shown."""
    if isinstance(place, (Thing, Other)):
        place = vars(place)
    if isinstance(place, Slots):
        setattr(place, name, new)
    elif isinstance(place, dict):
        if name in place and new is None:
            del place[name]
        else:
            place[name] = new
    elif isinstance(place, set):
        place ^= {len(place)}
    elif place and name == "a":
        place[0] = new
    elif place and name == "b":
        place.pop()
    else:
        place.append(new)


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=3), st.sampled_from([8, 30, 60, 120, 0]), st.data())
def test_any_value_after_any_changes(several: list[Any], chars: int, data: st.DataObject) -> None:
    kept = renderer(chars)
    for _ in range(8):
        for value in several:
            assert kept.render(value) == renderer(chars).render(value)
        if open_to_change := places(data.draw(st.sampled_from(several))):
            change(data.draw(st.sampled_from(open_to_change)), data.draw(names), data.draw(values))


def test_a_cycle_is_not_taken_for_its_copy() -> None:
    kept, one = renderer(), Thing(name=1)
    one.next = Thing(name=1)
    one.next.next = Thing(name=1)
    before = kept.render(one)
    one.next.next = one
    assert kept.render(one) == renderer().render(one) != before


@pytest.mark.parametrize("make", [lambda: [1, [2]], lambda: {"a": [1]}, lambda: Thing(x=[1])])
def test_the_same_place_in_memory_is_not_the_same_value(make: Any) -> None:
    kept = renderer()
    for number in range(200):
        value = make()
        if number % 3 and isinstance(value, Thing):
            value = type(f"Kind{number % 5}", (), {})()
            value.x = [1]
        assert kept.render(value) == renderer().render(value)
        del value


def test_what_is_not_in_the_dictionary_is_seen() -> None:
    kept, value = renderer(), Slotted(x=1)
    before = kept.render(value)
    value.more = 2
    assert kept.render(value) != before


def test_a_secret_that_becomes_known_is_covered_at_once() -> None:
    redactor = Redactor({})
    kept, value = Renderer(120, 4, 3, redactor), Thing(word="q8Zr2Lk9Xv4T", x=[1])
    assert "q8Zr2Lk9Xv4T" in kept.render(value)
    redactor.add("q8Zr2Lk9Xv4T")
    assert "q8Zr2Lk9Xv4T" not in kept.render(value)


def test_another_thread_may_change_it_meanwhile() -> None:
    value, going, interval = Thing(inner=Thing(x=[1], y="y"), held={"x": [1]}), True, sys.getswitchinterval()

    def change_it() -> None:
        while going:
            for name in "abcdefgh":
                setattr(value, name, [name])
                value.held[name] = value.inner
            for name in "abcdefgh":
                delattr(value, name)
                del value.held[name]

    thread = threading.Thread(target=change_it)
    thread.start()
    sys.setswitchinterval(1e-6)
    try:
        kept = renderer()
        shown = [kept.render(value) for _ in range(3000)]
    finally:
        going = False
        sys.setswitchinterval(interval)
        thread.join()
    assert not [text for text in shown if "not readable" in text]


def test_nothing_is_kept_alive() -> None:
    kept = renderer()
    inner = Thing(x=1)
    long = "x" * 100_000
    outer = Thing(inner=inner, several=[inner], long=[long])
    kept.render(outer)
    dead = [weakref.ref(each) for each in (inner, outer)]
    held = len(gc.get_referrers(long))
    del inner
    outer.__dict__.clear()
    del outer
    assert [each() for each in dead] == [None, None]
    assert len(gc.get_referrers(long)) == held - 1


def test_values_that_are_always_new_are_looked_at_no_more() -> None:
    """Then a look costs and saves nothing; it is tried again later."""
    credit, kind = Credit(), 1
    looked = [credit.pays(kind) and not credit.learn(kind, was_like=False) for _ in range(1000)]
    assert 5 < sum(looked) < 100
    assert any(looked[-200:])
    for _ in range(200):
        if credit.pays(kind):
            credit.learn(kind, was_like=True)
    assert all(credit.pays(kind) for _ in range(100))
