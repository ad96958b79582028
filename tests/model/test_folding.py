"""Loops folded to the hits that tell something."""

from __future__ import annotations

from pathlib import Path

import pytest

from backtrail_model.evidence.facts import Fact
from backtrail_model.evidence.folding import fold


def hits(*values: dict[str, str], effect: str = "") -> list[Fact]:
    """One line's hits, in each of which the given names got the given values."""
    return [
        Fact(
            id=f"L7#{number}",
            path=Path("/p/x.py"),
            line=7,
            function="f",
            order=number,
            distance=1.0,
            source="x = g(y)",
            reads={name: text for name, text in given.items() if name != "x"},
            effect=effect or ", ".join(f"{name} = {text}" for name, text in given.items()),
            values={name: (text,) for name, text in given.items()},
        )
        for number, given in enumerate(values, 1)
    ]


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        (["1", "2", "3", "4"], [1, 4]),
        (["1", "2", "-3", "-4", "-5"], [1, 3, 5]),
        (["0", "2", "3", "4"], [1, 4]),
        (["3", "2", "0", "4"], [1, 3, 4]),
        (["1", "2", "'a'", "'b'", "'c'"], [1, 3, 5]),
        (["[1]", "[1, 2]", "[1]", "[]", "[4]"], [1, 4, 5]),
        (["[1, 2]", "[1, 2, 3]", "[1, 3, 2]", "[1, 3, 2, 4]", "[0, 3, 2, 4]"], [1, 3, 5]),
        (["True", "True", "False", "False"], [1, 3, 4]),
        (["Box(n=1)", "Box(n=2)", "Lid()", "Lid()"], [1, 3, 4]),
        (["1"], [1]),
    ],
)
def test_first_last_and_where_a_value_turned(texts: list[str], kept: list[int]) -> None:
    found, folded = fold(hits(*({"x": text} for text in texts)))
    assert [fact.order for fact in found] == kept
    assert sorted(fact.order for fact in (*found, *folded)) == list(range(1, len(texts) + 1))


def test_two_numbers_that_change_places() -> None:
    found, _ = fold(hits(*({"a": str(a), "b": "5"} for a in (1, 2, 7, 8, 9))))
    assert [fact.order for fact in found] == [1, 3, 5]


def test_a_branch_that_went_the_other_way() -> None:
    each = hits({}, {}, effect="not taken") + hits({}, {}, {}, effect="taken")
    numbered = [
        Fact(f"L7#{n}", one.path, 7, "f", n, 1.0, "", {}, one.effect, {}) for n, one in enumerate(each, 1)
    ]
    assert [fact.order for fact in fold(numbered)[0]] == [1, 3, 5]


def test_the_same_turn_again_and_again_is_told_once() -> None:
    found, folded = fold(hits(*({"x": text} for text in ["1", "-1"] * 20)))
    assert len(found) <= 4
    assert len(found) + len(folded) == 40
