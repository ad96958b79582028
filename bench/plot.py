"""Lines on doubly logarithmic axes, as SVG: all that the plots in docs/ need."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 40, 50
COLOURS = ("#999999", "#1f77b4", "#c4c4c4", "#d62728", "#2ca02c", "#9467bd")
Points = Sequence[tuple[float, float]]


def svg(title: str, across: str, up: str, lines: Mapping[str, Points]) -> str:
    """`lines` by name; all coordinates must be above 0. `across` and `up` name the axes."""
    points = [point for line in lines.values() for point in line]
    scale_x = _Scale([x for x, _ in points], LEFT, WIDTH - RIGHT)
    scale_y = _Scale([y for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(WIDTH / 2, 22, title, "middle", 15),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, across, "middle"),
        _text(LEFT - 55, TOP - 12, up, "start"),
    ]
    for power in scale_x.powers():
        parts += _grid(scale_x.at(10**power), TOP, scale_x.at(10**power), HEIGHT - BOTTOM)
        parts.append(_power(scale_x.at(10**power), HEIGHT - BOTTOM + 18, power, "middle"))
    for power in scale_y.powers():
        parts += _grid(LEFT, scale_y.at(10**power), WIDTH - RIGHT, scale_y.at(10**power))
        parts.append(_power(LEFT - 8, scale_y.at(10**power) + 4, power, "end"))
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        where = " ".join(f"{scale_x.at(x):.1f},{scale_y.at(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(WIDTH - RIGHT + 28, TOP + 20 * number + 4, name, "start"))
        height = TOP + 20 * number
        begin, end = WIDTH - RIGHT + 8, WIDTH - RIGHT + 24
        parts.append(f'<path d="M{begin},{height}H{end}" stroke="{colour}" stroke-width="2"/>')
    return "\n".join([*parts, "</svg>", ""])


class _Scale:
    """From a value to a place between two, over whole powers of ten."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        self._first = math.floor(math.log10(min(values)))
        self._last = max(math.ceil(math.log10(max(values))), self._first + 1)
        self._begin, self._end = begin, end

    def powers(self) -> range:
        return range(self._first, self._last + 1)

    def at(self, value: float) -> float:
        part = (math.log10(value) - self._first) / (self._last - self._first)
        return self._begin + part * (self._end - self._begin)


def _grid(x1: float, y1: float, x2: float, y2: float) -> list[str]:
    return [f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#e5e5e5"/>']


def _text(x: float, y: float, text: str, anchor: str, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'


def _power(x: float, y: float, power: int, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">10'
        f'<tspan dy="-5" font-size="9">{power}</tspan></text>'
    )
