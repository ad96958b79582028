"""The report's pictures. matplotlib is imported late: it comes with the `study` extra."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtrail_model.study.sentences import STANDINGS
from backtrail_model.study.summary import Comparison, Rate, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MISSING = "There are no pictures, since matplotlib is not installed: python -m pip install 'backtrail[study]'"
INK, ACCENT, RULE = "#222222", "#2f6f9f", "#999999"
SHADES = ("#2f6f9f", "#8fb8d6", "#cccccc", "#b5483a")
DASHES = ("dashed", "dotted", "dashdot")


def draw(summary: Summary, folder: Path, right: str) -> tuple[Path, ...] | str:
    """Writes the PNG files; or why there are none. `right` says what makes an answer right."""
    try:
        import matplotlib
    except ImportError:
        return MISSING
    matplotlib.use("Agg")  # there is no screen to draw on
    made = [_rates(summary, folder / "pass_rates.png", right), _cost(summary, folder / "cost.png")]
    if summary.sentences:
        made.append(_sentences(summary, folder / "sentences.png"))
    if compared := [one for _, table in summary.tables for one in table]:
        made.append(_differences(compared, folder / "differences.png"))
    return tuple(made)


def _rates(summary: Summary, path: Path, right: str) -> Path:
    """A bar for each condition, with its interval; a rule for what is had without a model."""
    rates = summary.rates[::-1]
    figure, axes = _canvas(len(rates))
    names = [rate.condition.name for rate in rates]
    shares = [100 * rate.share for rate in rates]
    axes.barh(names, shares, color=ACCENT, height=0.6, xerr=_reach(rates), ecolor=INK, capsize=2)
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"{right}, % of items (95 % interval)")
    for one, dashes in zip(summary.baselines, DASHES, strict=False):
        axes.axvline(100 * one.share, color=INK, linewidth=1, linestyle=dashes, label=one.rule)
    if summary.baselines:
        figure.legend(loc="outside upper center", fontsize=6, ncols=len(summary.baselines), frameon=False)
    return _saved(figure, path)


def _sentences(summary: Summary, path: Path) -> Path:
    """How the sentences of each condition stand: a stacked bar, in sentences an item."""
    rows = summary.sentences[::-1]
    figure, axes = _canvas(len(rows))
    names, start = [one.condition.name for one in rows], [0.0] * len(rows)
    for standing, colour in zip(STANDINGS, SHADES, strict=True):
        wide = [one.counts[standing] / one.n for one in rows]
        axes.barh(names, wide, left=start, color=colour, height=0.6, label=standing)
        start = [at + more for at, more in zip(start, wide, strict=True)]
    axes.set_xlabel("sentences an item; dropped ones are contradicted by the trace")
    figure.legend(loc="outside upper center", fontsize=6, ncols=len(STANDINGS), frameon=False)
    return _saved(figure, path)


def _differences(compared: list[Comparison], path: Path) -> Path:
    """A point for each paired difference, with its interval and a rule at zero."""
    rows = compared[::-1]
    figure, axes = _canvas(len(rows))
    middles = [100 * one.pair.difference for one in rows]
    below = [100 * max(0.0, one.pair.difference - one.interval[0]) for one in rows]
    above = [100 * max(0.0, one.interval[1] - one.pair.difference) for one in rows]
    places = list(range(len(rows)))
    axes.axvline(0, color=RULE, linewidth=1)
    axes.errorbar(middles, places, xerr=[below, above], fmt="o", color=ACCENT, ecolor=INK, capsize=2)
    axes.set_yticks(places, [one.what for one in rows])
    axes.set_xlabel("paired difference, percentage points (95 % interval)")
    return _saved(figure, path)


def _cost(summary: Summary, path: Path) -> Path:
    """What a share costs: seconds across, share up."""
    figure, axes = _canvas(8)
    for rate in summary.rates:
        axes.plot(max(rate.seconds, 0.01), 100 * rate.share, "o", color=ACCENT)
        axes.annotate(
            rate.condition.name,
            (max(rate.seconds, 0.01), 100 * rate.share),
            textcoords="offset points",
            xytext=(5, 3),
            fontsize=6,
        )
    axes.set_xscale("log")
    axes.set_ylim(-3, 103)
    axes.set_xlabel("median seconds an item")
    axes.set_ylabel("right, % of items")
    return _saved(figure, path)


def _reach(rates: tuple[Rate, ...]) -> list[list[float]]:
    below = [100 * max(0.0, rate.share - rate.interval[0]) for rate in rates]
    above = [100 * max(0.0, rate.interval[1] - rate.share) for rate in rates]
    return [below, above]


def _canvas(rows: int) -> tuple[Any, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.2 + 0.34 * max(3, rows)), layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _saved(figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=150)
    return path
