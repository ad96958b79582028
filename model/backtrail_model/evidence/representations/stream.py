"""What the representations share that list every executed line: the states of the run, cut to the budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from backtrail_model.evidence.facts import DULL_TYPES, Fact, fact_of
from backtrail_model.evidence.material import Material, Rendering
from backtrail_model.evidence.tokens import estimate
from backtrail_tracer.trace import Frame, Hit, Value

GAP = "…"


@frozen
class Moment:
    """One hit: what held after it, what it changed, and what came out when it was a frame's last."""

    fact: Fact
    frame: Frame
    first: bool  # of its frame
    state: Mapping[str, str]  # after the line
    changed: Mapping[str, str]
    output: str | None  # the result, or the exception that left the frame here

    @property
    def label(self) -> str:
        """Its line as in the ids of facts: "L7", or "other:L7" in a file that is not the main one."""
        return self.fact.id.partition("#")[0]

    def where(self) -> str:
        """The same in words."""
        other = self.label.rpartition(":")[0]
        return f"Line {self.fact.line} of {other}" if other else f"Line {self.fact.line}"


def moments(material: Material) -> list[Moment]:
    """Of the functions under test, in the order in which they ran."""
    return [_moment(material, hit) for hit in material.ran()]


def _moment(material: Material, hit: Hit) -> Moment:
    history = material.history
    frame = history.trace.frames[hit.frame]
    hits = history.hits(frame.id)
    held = dict(frame.arguments)
    for one in hits:
        if one.order > hit.order:
            break
        held.update({**one.found, **one.changed})
    output = hit.raised if hit is hits[-1] else None
    if hit is hits[-1] and frame.left_by == "return" and frame.result is not None:
        output = frame.result.text
    return Moment(
        fact=fact_of(history, hit, material.prefix(frame.code.path), 0.0, False),
        frame=frame,
        first=hit is hits[0],
        state=_texts(held),
        changed=_texts(hit.changed),
        output=output,
    )


def _texts(values: Mapping[str, Value]) -> dict[str, str]:
    return {name: value.text for name, value in values.items() if value.type not in DULL_TYPES}


def render(material: Material, write: Callable[[Moment], str], last: str = "") -> Rendering:
    """One row a moment. Where there is no room for all, the first and the last ones stay.

    `last` is a row of its own that always comes at the end and counts towards the budget.
    """
    found = moments(material)
    rows = [write(moment) for moment in found]
    kept = _ends([estimate(row) + 1 for row in rows], material.budget - estimate(last))
    text = [row for index, row in enumerate(rows) if index in kept]
    if len(kept) < len(rows) and kept:
        text.insert(next(index for index in range(len(rows)) if index not in kept), GAP)
    return Rendering(
        "\n".join([*text, last] if last else text),
        tuple(moment.fact for index, moment in enumerate(found) if index in kept),
        tuple(moment.fact for index, moment in enumerate(found) if index not in kept),
    )


def _ends(costs: Sequence[int], room: int) -> set[int]:
    """Which rows fit, taken from both ends in turn until one does not."""
    kept: set[int] = set()
    order = [
        index for pair in zip(range(len(costs)), reversed(range(len(costs))), strict=True) for index in pair
    ]
    for index in dict.fromkeys(order):
        room -= costs[index]
        if room < 0:
            break
        kept.add(index)
    return kept
