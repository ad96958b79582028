"""The statistics agree with published examples, and keep what an interval promises."""

from __future__ import annotations

from math import comb
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrail_model.study.stats import Paired, holm, mcnemar, newcombe, wilson

counts = st.integers(0, 60)
pairs = st.builds(Paired, counts, counts, counts, counts).filter(lambda pair: pair.n > 0)

AIRWAYS = Paired(both=1, first=1, second=7, neither=12)
"""Airways before and after (Bentur et al. 2009), as in Fagerland, Lydersen and Laake 2017, chapter 8."""


def test_newcombes_interval_of_a_published_example() -> None:
    low, high = newcombe(AIRWAYS)
    assert (round(low, 3), round(high, 3)) == (-0.507, -0.026)


def test_mcnemars_exact_p_of_a_published_example() -> None:
    assert round(mcnemar(AIRWAYS), 4) == 0.0703


def test_wilsons_interval_of_a_published_example() -> None:
    # Newcombe 1998 (Statistics in Medicine 17:857), table I: 81 of 263, and 0 of 20.
    assert [round(end, 4) for end in wilson(81, 263)] == [0.2553, 0.3662]
    assert [round(end, 4) for end in wilson(0, 20)] == [0.0, 0.1611]


def test_pairs_are_counted_by_who_solved_them() -> None:
    seen = [(True, True), (True, False), (True, False), (False, True), (False, False)]
    pair = Paired.of(seen)
    assert (pair.both, pair.first, pair.second, pair.neither, pair.n) == (1, 2, 1, 1, 5)
    assert pair.difference == pytest.approx(0.2)


@given(pairs)
def test_a_difference_lies_in_its_interval_and_the_interval_between_minus_one_and_one(pair: Paired) -> None:
    low, high = newcombe(pair)
    assert -1 - 1e-9 <= low <= pair.difference <= high <= 1 + 1e-9


@given(pairs)
def test_exchanging_the_two_turns_the_interval_round_and_keeps_p(pair: Paired) -> None:
    other = Paired(pair.both, pair.second, pair.first, pair.neither)
    low, high = newcombe(pair)
    assert newcombe(other) == pytest.approx((-high, -low))
    assert mcnemar(other) == mcnemar(pair)


@given(st.integers(0, 40), st.integers(0, 40))
def test_p_is_the_share_of_coin_throws_that_are_as_uneven(first: int, second: int) -> None:
    n, uneven = first + second, abs(first - second)
    as_uneven = sum(comb(n, k) for k in range(n + 1) if abs(n - 2 * k) >= uneven) / 2**n
    assert mcnemar(Paired(5, first, second, 5)) == pytest.approx(as_uneven)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random, n, tries = Random(11), 50, 1000
    weights = [0.4, 0.2, 0.1, 0.3]  # both, first, second, neither
    covered = 0
    for _ in range(tries):
        drawn = random.choices(range(4), weights, k=n)
        low, high = newcombe(Paired(*(drawn.count(kind) for kind in range(4))))
        covered += low <= 0.1 <= high
    assert 0.93 <= covered / tries <= 0.98


def test_holm_asks_more_of_the_smaller_ones_and_keeps_their_order() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx((0.06, 0.03, 0.06))
    assert holm([]) == ()


def test_nothing_seen_says_nothing() -> None:
    empty = Paired(0, 0, 0, 0)
    assert (wilson(0, 0), newcombe(empty), mcnemar(empty)) == ((0.0, 1.0), (-1.0, 1.0), 1.0)
