"""Drafts from the text so far: what is guessed, and how much of it is tried at once."""

from __future__ import annotations

import pytest

from backtrail_model.host.drafts import Guess, Lookup, Pace


@pytest.mark.parametrize(
    ("ids", "expected", "match"),
    [
        ([1, 2, 3, 4, 5, 1, 2, 3], [4, 5, 1], 3),
        ([1, 2, 9, 1, 2, 7, 1, 2], [7, 1, 2], 2),  # of equal matches the latest
        ([5, 1, 2, 9, 6, 1, 2, 7, 5, 1, 2], [9, 6, 1], 3),  # the longest before the latest
        ([1, 2, 3, 4], [], 0),
        ([3, 3], [3], 1),
        ([], [], 0),
    ],
)
def test_the_longest_earlier_occurrence_is_gone_on_from(
    ids: list[int], expected: list[int], match: int
) -> None:
    assert Lookup(ids).guess(3) == Guess(tuple(expected), match)


def test_a_text_that_grows_is_looked_up_as_a_whole() -> None:
    lookup = Lookup([1, 2, 3])
    lookup.extend([4, 1, 2])
    assert lookup.guess(2).ids == (3, 4)


def test_a_copy_goes_on_behind_a_token_that_was_replaced() -> None:
    lookup = Lookup([1, 2, 3, 4, 5, 6, 90, 1, 2])
    assert lookup.guess(4).ids == (3, 4, 5, 6)
    lookup.settle(1)  # 3 held, then 77 came where 4 was
    lookup.extend([3, 77])
    assert lookup.guess(2).ids == (5, 6)


def test_a_draft_is_as_long_as_pays() -> None:
    pace = Pace()
    assert pace.length(16, 15) == 3  # four rows cost little more than one, five cost much more
    assert pace.length(16, 2) == 2  # no more than there are
    for rows in range(2, 17):
        for _ in range(200):
            pace.took(1, 0.1)
            pace.took(rows, 0.1 * rows)
    assert pace.length(16, 15) == 0  # a machine on which rows cost what passes cost


def test_drafts_that_never_hold_are_given_up() -> None:
    pace = Pace()
    for _ in range(100):
        pace.settled(Guess((1, 2, 3), 1), 0)
    assert pace.length(1, 15) == 0
    assert pace.length(16, 15) > 0  # a longer match is another matter


def test_a_slow_moment_is_not_taken_for_a_costly_row() -> None:
    pace = Pace()
    for _ in range(50):
        pace.took(1, 0.1)
    for _ in range(50):
        pace.took(4, 5 * 0.12)  # everything became five times slower, and only drafts are running
    assert pace.cost(4) < 1.6
