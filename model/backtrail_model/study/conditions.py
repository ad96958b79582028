"""What is crossed: models, representations, ways of test-time scaling, and controls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from attrs import frozen

from backtrail_model.evidence import REPRESENTATIONS
from backtrail_model.study.tasks import Kind

Way = Literal["greedy", "best-of", "best-of-verified", "refine", "search"]
Control = Literal["", "rerun", "shuffled"]

CONTROLS: tuple[Control, ...] = ("rerun", "shuffled")
NO_TRACE = "none"
WITHOUT_A_TRACE = (NO_TRACE, "fact")
"""Representations that show nothing recorded inside the program, so that there is nothing to shuffle."""
NO_MODEL = "none"
MOST = 64

_WITHOUT_RUNS: Mapping[Kind, str] = {
    "output": "to run a call is to know its output",
    "explain": "an explanation cannot be run",
}
_SCALING = re.compile(r"(greedy|search)|best-of-(\d+)(-verified)?|refine-(\d+)")


class BadCondition(ValueError):
    """A condition that cannot be studied; the message says what can."""


@frozen
class Scaling:
    """One way to spend compute at test time.

    `greedy`: one answer at temperature 0. `best-of-N`: N answers, the most frequent program is taken.
    `best-of-N-verified`: the same N answers, the first that passes the visible tests is taken. `refine-K`:
    up to K more rounds after the greedy answer, each of which sees what the last one did. `search`: the
    repair search of the product, for a number of seconds.
    """

    way: Way
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Scaling:
        """Raises BadCondition."""
        found = _SCALING.fullmatch(text)
        if found is None:
            known = "greedy, best-of-N, best-of-N-verified, refine-K, search"
            raise BadCondition(f"no scaling {text!r}: there are {known}")
        if found[1]:
            return cls("greedy" if found[1] == "greedy" else "search")
        count = int(found[2] or found[4])
        if not 1 <= count <= MOST:
            raise BadCondition(f"{text}: from 1 to {MOST}")
        if found[4]:
            return cls("refine", count)
        return cls("best-of-verified" if found[3] else "best-of", count)

    def __str__(self) -> str:
        names = {
            "best-of": f"best-of-{self.count}",
            "best-of-verified": f"best-of-{self.count}-verified",
            "refine": f"refine-{self.count}",
        }
        return names.get(self.way, self.way)


@frozen
class Condition:
    """One cell of the study for each item. `control` is empty but for the two controls:

    `rerun` repeats the no-trace condition under another seed, which shows how much is noise; `shuffled`
    shows the trace of another item, which tells whether it is the trace that helps or only more text.
    """

    model: str
    representation: str
    scaling: Scaling
    control: Control = ""

    @property
    def name(self) -> str:
        control = f" ({self.control})" if self.control else ""
        return f"{self.model} · {self.representation}{control} · {self.scaling}"

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.model, self.representation, str(self.scaling), self.control)


def representations(names: Sequence[str]) -> tuple[str, ...]:
    """The named ones, or every one for `all`; the no-trace one first. Raises BadCondition."""
    wanted = list(REPRESENTATIONS) if "all" in names else list(names)
    for name in wanted:
        if name not in REPRESENTATIONS:
            raise BadCondition(f"no representation {name!r}: there are all, {', '.join(REPRESENTATIONS)}")
    return tuple(dict.fromkeys(sorted(wanted, key=lambda name: name != NO_TRACE)))


def conditions(
    kind: Kind,
    models: Sequence[str],
    shown: Sequence[str],
    scalings: Sequence[Scaling],
    controls: Sequence[Control],
) -> tuple[Condition, ...]:
    """All that makes sense, each model's together. Raises BadCondition when nothing does."""
    for scaling in scalings:
        if kind in _WITHOUT_RUNS and scaling.way not in ("greedy", "best-of"):
            raise BadCondition(
                f"{scaling} runs candidates, and {_WITHOUT_RUNS[kind]}: "
                f"for --task {kind} there are greedy and best-of-N"
            )
    made = tuple(
        condition
        for model in dict.fromkeys(models)
        for condition in _of_model(model, shown, scalings, controls)
    )
    if not made:
        raise BadCondition('without a model there is only "search": nothing is left to study')
    return made


def _of_model(
    model: str, shown: Sequence[str], scalings: Sequence[Scaling], controls: Sequence[Control]
) -> Iterator[Condition]:
    if model == NO_MODEL:  # no prompt, so the representations are all the same
        yield from (Condition(model, NO_TRACE, scaling) for scaling in scalings if scaling.way == "search")
        return
    for scaling in dict.fromkeys(scalings):
        yield from (Condition(model, representation, scaling) for representation in shown)
    first = scalings[0]
    if "rerun" in controls and NO_TRACE in shown:
        yield Condition(model, NO_TRACE, first, "rerun")
    if "shuffled" in controls:
        traced = (one for one in shown if one not in WITHOUT_A_TRACE)
        yield from (Condition(model, one, first, "shuffled") for one in traced)
