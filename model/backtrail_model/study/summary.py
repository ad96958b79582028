"""Records → rates and paired differences, as data: what the report, the plots and the bench show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import median

from attrs import frozen

from backtrail_model.study.conditions import NO_TRACE, Condition, Scaling
from backtrail_model.study.explained import RANDOM
from backtrail_model.study.records import Cell, Records
from backtrail_model.study.sentences import (
    Baseline,
    Sentences,
    against,
    baselines,
    contradicted,
    sentences,
)
from backtrail_model.study.stats import Paired, holm, mcnemar, newcombe, wilson


@frozen
class Rate:
    """What came of one condition, over the items that it was tried on. Times in seconds."""

    condition: Condition
    n: int
    right: int
    interval: tuple[float, float]
    oracle: int  # any of the samples was right
    verified: int  # offered as having passed the visible tests
    wrong: int  # of these, wrong by the hidden tests
    first_s: float | None  # median, where something passed
    seconds: float  # median
    prompt_tokens: float  # mean
    output_tokens: float  # mean
    exact_tokens: bool

    @property
    def share(self) -> float:
        return self.right / self.n if self.n else 0.0


@frozen
class Comparison:
    """Two conditions on the same items; `second` is None for a rule that needs no model.

    `p` is exact, `adjusted` what is left of it among its table's.
    """

    what: str
    first: Condition
    second: Condition | None
    pair: Paired
    interval: tuple[float, float]
    p: float
    adjusted: float


@frozen
class Summary:
    rates: tuple[Rate, ...]
    traces: tuple[Comparison, ...]  # each representation against none
    scalings: tuple[Comparison, ...]  # each way against greedy
    models: tuple[Comparison, ...]  # each model against the first
    controls: tuple[Comparison, ...]
    # Of explanations only.
    sentences: tuple[Sentences, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    rules: tuple[Comparison, ...] = ()  # each condition against a rule without a model
    borne_out: tuple[Comparison, ...] = ()  # no sentence contradicted: each representation against none

    @property
    def tables(self) -> tuple[tuple[str, tuple[Comparison, ...]], ...]:
        return (
            ("What the trace is worth", self.traces),
            ("What test-time scaling is worth", self.scalings),
            ("Models", self.models),
            ("Controls", self.controls),
            ("Against a line that is named without a model", self.rules),
            ("Explanations in which nothing is contradicted", self.borne_out),
        )


def summarise(records: Records) -> Summary:
    """Everything that the records have to say; conditions in the order in which they were planned."""
    cells = list(records.cells.values())
    found = list(dict.fromkeys(condition_of(cell) for cell in cells))
    by = {condition: [cell for cell in cells if condition_of(cell) == condition] for condition in found}
    told = found if any(cell.claims for cell in cells) else []
    return Summary(
        rates=tuple(rate(condition, by[condition]) for condition in found),
        traces=_compared(_against_no_trace(found), cells),
        scalings=_compared(_against_greedy(found), cells),
        models=_compared(_against_first_model(found), cells),
        controls=_compared(_controls(found), cells),
        sentences=tuple(sentences(condition, by[condition]) for condition in told),
        baselines=tuple(baselines(records.baselines, cells)),
        rules=_adjusted(_against_rules(records.baselines, by)),
        borne_out=_compared(_against_no_trace(told), cells, lambda cell: not contradicted(cell)),
    )


def condition_of(cell: Cell) -> Condition:
    return Condition(cell.model, cell.representation, Scaling.parse(cell.scaling), cell.control)  # type: ignore[arg-type]


def rate(condition: Condition, cells: Sequence[Cell]) -> Rate:
    right = sum(cell.right for cell in cells)
    verified = [cell for cell in cells if cell.verified]
    firsts = [cell.first_s for cell in cells if cell.first_s is not None]
    return Rate(
        condition=condition,
        n=len(cells),
        right=right,
        interval=wilson(right, len(cells)),
        oracle=sum(cell.oracle for cell in cells),
        verified=len(verified),
        wrong=sum(not cell.right for cell in verified),
        first_s=median(firsts) if firsts else None,
        seconds=median([cell.seconds for cell in cells] or [0.0]),
        prompt_tokens=_mean([cell.prompt_tokens for cell in cells]),
        output_tokens=_mean([cell.output_tokens for cell in cells]),
        exact_tokens=all(cell.exact_tokens for cell in cells),
    )


def compare(
    first: Condition,
    second: Condition,
    cells: Iterable[Cell],
    won: Callable[[Cell], bool] = lambda cell: cell.right,
) -> Paired:
    """The two conditions on the items that both were tried on."""
    right: dict[tuple[str, str, str, str], dict[str, bool]] = {}
    for cell in cells:
        right.setdefault(condition_of(cell).key, {})[cell.item] = won(cell)
    one, two = right.get(first.key, {}), right.get(second.key, {})
    return Paired.of((one[item], two[item]) for item in one if item in two)


Pairs = Iterator[tuple[str, Condition, Condition]]


def _compared(
    pairs: Pairs, cells: Sequence[Cell], won: Callable[[Cell], bool] = lambda cell: cell.right
) -> tuple[Comparison, ...]:
    return _adjusted((what, one, other, compare(one, other, cells, won)) for what, one, other in pairs)


def _adjusted(
    rows: Iterable[tuple[str, Condition, Condition | None, Paired]],
) -> tuple[Comparison, ...]:
    made = list(rows)
    values = [mcnemar(pair) for *_, pair in made]
    return tuple(
        Comparison(what, first, second, pair, newcombe(pair), p, adjusted)
        for (what, first, second, pair), p, adjusted in zip(made, values, holm(values), strict=True)
    )


def _against_no_trace(found: Sequence[Condition]) -> Pairs:
    for one in found:
        other = Condition(one.model, NO_TRACE, one.scaling)
        if not one.control and one.representation != NO_TRACE and other in found:
            yield f"{one.representation} – {NO_TRACE} ({one.model}, {one.scaling})", one, other


def _against_greedy(found: Sequence[Condition]) -> Pairs:
    for one in found:
        other = Condition(one.model, one.representation, Scaling("greedy"))
        if not one.control and one.scaling.way != "greedy" and other in found:
            yield f"{one.scaling} – greedy ({one.model}, {one.representation})", one, other


def _against_first_model(found: Sequence[Condition]) -> Pairs:
    models = list(dict.fromkeys(condition.model for condition in found))
    for one in found:
        other = Condition(models[0], one.representation, one.scaling)
        if not one.control and one.model != models[0] and other in found:
            yield f"{one.model} – {models[0]} ({one.representation}, {one.scaling})", one, other


def _controls(found: Sequence[Condition]) -> Pairs:
    for one in found:
        plain = Condition(one.model, one.representation, one.scaling)
        if one.control == "rerun" and plain in found:
            yield f"{NO_TRACE} again – {NO_TRACE} ({one.model}, {one.scaling})", one, plain
        if one.control == "shuffled" and plain in found:
            words = f"{one.representation} – the same of another item ({one.model}, {one.scaling})"
            yield words, plain, one


def _against_rules(
    scores: Mapping[str, Mapping[str, float]], by: Mapping[Condition, Sequence[Cell]]
) -> Iterator[tuple[str, Condition, None, Paired]]:
    rules = dict.fromkeys(rule for one in scores.values() for rule in one if rule != RANDOM)
    for rule in rules:
        for one, cells in by.items():
            if not one.control:
                yield f"{one.name} – {rule}", one, None, against(scores, rule, cells)


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else 0.0
