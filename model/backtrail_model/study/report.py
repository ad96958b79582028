"""The report: markdown that says what was measured, on what, and how sure one can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backtrail_model.study.plots import draw
from backtrail_model.study.records import Records
from backtrail_model.study.sentences import STANDINGS, Baseline, Sentences
from backtrail_model.study.summary import Comparison, Rate, Summary, summarise
from backtrail_model.study.tasks import RIGHT, Kind

REPORT = "report.md"

METHOD = """\
Every item is one pair: conditions are compared on the items that both were tried on. Shares have Wilson's
95 % interval; differences have Newcombe's (1998, method 10) and the exact p-value of McNemar's test, with
Holm's correction for the tests of its table in the last column.

{right}
"Any sample" counts items for which one of the answers was right, chosen or not. "Offered" means offered as
having passed the visible tests; "wrong" counts the offers that are not right. Seconds are medians, tokens
means over the items.
"""
MEANS: Mapping[Kind, str] = {
    "repair": """\
"Right" means that the hidden tests pass; they are run in a folder of their own, which no solver is told
of.""",
    "output": """\
"Right" means that the answer is a literal equal to what the call returns.""",
    "explain": """\
"Right" means that the one line which the answer concludes to be wrong is one that the reference fix changes
(top-1 accuracy of fault localisation, Kochhar et al. 2016). Both programs are compared statement by
statement; where the fix only adds statements, those before and behind the gap count (Pearson et al. 2017).
Nothing is run, so nothing is offered as having passed. Items whose reference changes more than 3 statements,
or more than half of those that the failing test ran, are unusable: to name one would prove little.""",
}
CLAIMS = """\
Each sentence is held against all that was recorded, as the product does it before a person sees it: "cited"
names a recorded fact and nothing that differs from it, "checked" tells a value or an outcome that was
recorded, of a "guess" nothing could be checked, and "dropped" is contradicted by the trace. Every sample is
counted. An answer without a sentence contradicts nothing; there the number of sentences is small.
"""


def write(records: Records, manifest: Mapping[str, Any], notes: Sequence[str] = ()) -> Path:
    """Writes the report and its pictures beside the records; the path of the report. `notes` are what a
    reader has to know beforehand, such as that a model was trained on the items."""
    summary = summarise(records)
    pictures = draw(summary, records.folder, RIGHT[kind_of(manifest)])
    path = records.folder / REPORT
    path.write_text("\n".join(lines(summary, records, manifest, pictures, notes)) + "\n", encoding="utf-8")
    return path


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of task that was studied."""
    return next((kind for kind in RIGHT if kind == manifest.get("task")), "repair")


def lines(
    summary: Summary,
    records: Records,
    manifest: Mapping[str, Any],
    pictures: Sequence[Path] | str,
    notes: Sequence[str] = (),
) -> Iterator[str]:
    """`pictures` are their files, or the reason why there are none."""
    data = ", ".join(f"{one['name']} (SHA-256 {one['sha256'][:12]}…)" for one in manifest.get("data", ()))
    seed, budget = manifest.get("seed"), manifest.get("budget_s")
    yield from ("# Study", "", f"* Data: {data}; task: {manifest.get('task')}")
    yield f"* Seed {seed}; {budget:g} s for each search" if budget is not None else f"* Seed {seed}"
    yield f"* Machine: {manifest.get('machine')}"
    tried = len({cell.item for cell in records.cells.values()})
    yield f"* Items: {tried} tried, {len(records.unusable)} unusable"
    yield from (f"* {note}" for note in notes)
    yield from ("", METHOD.format(right=MEANS[kind_of(manifest)]), "## What came of each condition", "")
    yield from rates_table(summary.rates)
    if summary.baselines:
        yield from ("", "## Lines named without a model", "")
        yield from baselines_table(summary.baselines)
    if summary.sentences:
        yield from ("", "## What the trace says of the sentences", "", CLAIMS)
        yield from sentences_table(summary.sentences)
    for title, comparisons in summary.tables:
        if comparisons:
            yield from ("", f"## {title}", "")
            yield from comparisons_table(comparisons)
    yield from _pictures(pictures)
    yield from _unusable(records.unusable)


def rates_table(rates: Sequence[Rate]) -> Iterator[str]:
    exact = all(rate.exact_tokens for rate in rates)
    tokens = "tokens in / out" if exact else "tokens in / out (some estimated)"
    yield f"| condition | right | share (95 %) | any sample | offered | wrong | first s | s | {tokens} |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for rate in rates:
        low, high = rate.interval
        first = f"{rate.first_s:.1f}" if rate.first_s is not None else "–"
        yield (
            f"| {rate.condition.name} | {rate.right}/{rate.n} "
            f"| {_percent(rate.share)} ({_percent(low)} to {_percent(high)}) | {rate.oracle}/{rate.n} "
            f"| {rate.verified} | {rate.wrong} | {first} | {rate.seconds:.1f} "
            f"| {rate.prompt_tokens:.0f} / {rate.output_tokens:.0f} |"
        )


def baselines_table(baselines: Sequence[Baseline]) -> Iterator[str]:
    yield "| rule | right | share (95 %) |"
    yield "|---|---|---|"
    for one in baselines:
        if one.interval is None:
            yield f"| {one.rule} | {one.right:.1f}/{one.n} expected | {_percent(one.share)} |"
        else:
            low, high = one.interval
            share = f"{_percent(one.share)} ({_percent(low)} to {_percent(high)})"
            yield f"| {one.rule} | {one.right:.0f}/{one.n} | {share} |"


def sentences_table(rows: Sequence[Sentences]) -> Iterator[str]:
    yield (
        f"| condition | a line named | sentences | {' | '.join(STANDINGS)} "
        "| explanations with a dropped one (95 %) |"
    )
    yield "|---" * (len(STANDINGS) + 4) + "|"
    for one in rows:
        low, high = one.interval
        counts = " | ".join(str(one.counts[name]) for name in STANDINGS)
        yield (
            f"| {one.condition.name} | {one.named}/{one.n} | {one.total} | {counts} "
            f"| {one.contradicted}/{one.n} ({_percent(low)} to {_percent(high)}) |"
        )


def comparisons_table(comparisons: Sequence[Comparison]) -> Iterator[str]:
    yield "| difference | items | only first | only second | points (95 %) | p | p (Holm) |"
    yield "|---|---|---|---|---|---|---|"
    for one in comparisons:
        yield (
            f"| {one.what} | {one.pair.n} | {one.pair.first} | {one.pair.second} | {points(one)} "
            f"| {_p(one.p)} | {_p(one.adjusted)} |"
        )


def points(one: Comparison) -> str:
    """ "+12.0 (-3.1 to +26.4)", in percentage points."""
    low, high = one.interval
    return f"{100 * one.pair.difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _pictures(pictures: Sequence[Path] | str) -> Iterator[str]:
    if isinstance(pictures, str):
        yield from ("", pictures)
        return
    for picture in pictures:
        yield from ("", f"![{picture.stem.replace('_', ' ')}]({picture.name})")


def _unusable(unusable: Mapping[str, str]) -> Iterator[str]:
    if unusable:
        yield from ("", "## Items that could not be used", "")
        several = [(reason, count) for reason, count in Counter(unusable.values()).most_common() if count > 1]
        yield from (f"{count} × {reason}  " for reason, count in several)
        yield ""
        yield from (f"* {item}: {reason}" for item, reason in sorted(unusable.items()))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1g}"
