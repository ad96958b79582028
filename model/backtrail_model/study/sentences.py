"""What records of explanations say beside the shares: how sentences stand, and rules without a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from backtrail_model.study.conditions import Condition
from backtrail_model.study.explained import RANDOM
from backtrail_model.study.records import Cell
from backtrail_model.study.stats import Paired, wilson

STANDINGS = ("cited", "checked", "guess", "dropped")
"""See `claims.py`; dropped is what the trace contradicts."""


@frozen
class Sentences:
    """The explanations under one condition, every sample counted. `interval` is of the share of items with a
    dropped sentence: the sentences of one explanation are not independent, items are."""

    condition: Condition
    n: int  # items
    named: int  # items for which a line was named
    counts: Mapping[str, int]  # of sentences, by how they stand
    contradicted: int  # items with a dropped sentence
    interval: tuple[float, float]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@frozen
class Baseline:
    """A rule that names a line without a model. `interval` is None where `right` is an exact expectation."""

    rule: str
    n: int
    right: float
    interval: tuple[float, float] | None

    @property
    def share(self) -> float:
        return self.right / self.n if self.n else 0.0


def sentences(condition: Condition, cells: Sequence[Cell]) -> Sentences:
    bad = sum(map(contradicted, cells))
    return Sentences(
        condition=condition,
        n=len(cells),
        named=sum(cell.offered for cell in cells),
        counts={name: sum(cell.claims.get(name, 0) for cell in cells) for name in STANDINGS},
        contradicted=bad,
        interval=wilson(bad, len(cells)),
    )


def contradicted(cell: Cell) -> bool:
    """Whether the trace contradicts a sentence of it."""
    return cell.claims.get("dropped", 0) > 0


def baselines(scores: Mapping[str, Mapping[str, float]], cells: Sequence[Cell]) -> Iterator[Baseline]:
    """Over the items that models were tried on. `scores` are by item and rule, see `explained.py`."""
    tried = [scores[item] for item in dict.fromkeys(cell.item for cell in cells) if item in scores]
    for rule in dict.fromkeys(rule for one in tried for rule in one):
        right = sum(one[rule] for one in tried)
        interval = wilson(round(right), len(tried)) if rule != RANDOM else None
        yield Baseline(rule, len(tried), right, interval)


def against(scores: Mapping[str, Mapping[str, float]], rule: str, cells: Sequence[Cell]) -> Paired:
    """A condition's cells paired with a rule that names one line, on the items that both have."""
    both = (cell for cell in cells if cell.item in scores)
    return Paired.of((cell.right, scores[cell.item].get(rule) == 1.0) for cell in both)
