"""The statistics of the report: small, exact where they can be, without a library.

Every comparison is paired: two ways are tried on the same items, so only the items on which they differ
tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import comb, sqrt
from statistics import NormalDist

from attrs import frozen

LEVEL = 0.95


@frozen
class Paired:
    """How many items both ways solved, only the first, only the second, neither."""

    both: int
    first: int
    second: int
    neither: int

    @classmethod
    def of(cls, pairs: Iterable[tuple[bool, bool]]) -> Paired:
        seen = list(pairs)
        counts = [seen.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))]
        return cls(*counts)

    @property
    def n(self) -> int:
        return self.both + self.first + self.second + self.neither

    @property
    def difference(self) -> float:
        """Share of the first less share of the second, from -1 to 1; 0 where there are no items."""
        return (self.first - self.second) / self.n if self.n else 0.0


def wilson(hits: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The score interval of a share (Wilson 1927, JASA 22:209); (0, 1) where nothing was seen."""
    if n == 0:
        return 0.0, 1.0
    z, share = _z(level), hits / n
    middle = share + z * z / (2 * n)
    reach = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if hits == 0 else (middle - reach) / scale
    high = 1.0 if hits == n else (middle + reach) / scale
    return low, high


def mcnemar(pair: Paired) -> float:
    """The exact two-sided p-value of McNemar's test: were the items that differ decided by a fair coin?

    McNemar 1947, Psychometrika 12:153; exact by the binomial distribution.
    """
    n, least = pair.first + pair.second, min(pair.first, pair.second)
    tail = sum(comb(n, k) for k in range(least + 1))
    return float(min(1.0, 2 * tail / 2**n))


def newcombe(pair: Paired, level: float = LEVEL) -> tuple[float, float]:
    """The interval of a paired difference: Wilson's intervals of both shares, joined by their correlation.

    Method 10 of Newcombe 1998, Statistics in Medicine 17:2635. It needs no large numbers and stays within
    -1 and 1.
    """
    n = pair.n
    if n == 0:
        return -1.0, 1.0
    one, two = (pair.both + pair.first) / n, (pair.both + pair.second) / n
    low_1, high_1 = wilson(pair.both + pair.first, n, level)
    low_2, high_2 = wilson(pair.both + pair.second, n, level)
    phi = _correlation(pair)
    below = _joined(one - low_1, high_2 - two, phi)
    above = _joined(high_1 - one, two - low_2, phi)
    return pair.difference - below, pair.difference + above


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p-values as they stand when all of them are looked at (Holm 1979, Scand. J. Statist. 6:65)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return tuple(adjusted)


def _correlation(pair: Paired) -> float:
    """Newcombe's phi: a positive covariance is taken half an item smaller, and never below zero."""
    margins = (
        (pair.both + pair.first)
        * (pair.second + pair.neither)
        * (pair.both + pair.second)
        * (pair.first + pair.neither)
    )
    if margins == 0:
        return 0.0
    over = pair.both * pair.neither - pair.first * pair.second
    return (max(0.0, over - pair.n / 2) if over > 0 else over) / sqrt(margins)


def _joined(one: float, two: float, phi: float) -> float:
    return sqrt(max(0.0, one * one - 2 * phi * one * two + two * two))


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2)
