"""The whole of a tuning: triples in, an adapter and its note out. Imports torch and peft late."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import asdict, frozen

from backtrail_model.study import machine
from backtrail_model.tune.adapter import Note
from backtrail_model.tune.triples import Triple

EXTRA_MISSING = "Tuning needs the tune extra: python -m pip install 'backtrail[model,tune]'"


class TuneError(Exception):
    """Nothing can be learnt; the message says why and what to do."""


@frozen
class Told:
    """A step that is done. `loss` is the mean over the answers' tokens."""

    step: int
    steps: int
    loss: float
    seconds: float


@frozen
class Tuned:
    """What came of it, and how many seconds the steps took."""

    folder: Path
    note: Note
    left_out: int  # triples that were longer than the recipe allows
    seconds: float


def tune(
    triples: Sequence[Triple],
    *,
    model: str,
    base: Path,
    out: Path,
    representation: str,
    hold_out: float = 0.1,
    steps: int = 60,
    rank: int = 8,
    learning_rate: float = 2e-4,
    batch: int = 4,
    longest: int = 1024,
    seed: int = 0,
    tell: Callable[[Told], None] = lambda _: None,
) -> Tuned:
    """Trains an adapter for the NF4 form in `base` and writes it to `out`. Raises TuneError."""
    # Threads that spin while they wait make a step ten times slower where something else runs. It must be
    # said before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from backtrail_model.tune.train import Learner, Recipe
    except ImportError as error:
        raise TuneError(f"{error}. {EXTRA_MISSING}") from error
    from backtrail_model.tune.examples import examples, split

    recipe = Recipe(
        steps, rank, alpha=2 * rank, learning_rate=learning_rate, batch=batch, longest=longest, seed=seed
    )
    learner = Learner.load(base, recipe)
    some, others = split(triples, hold_out, seed)
    learn, held = (examples(each, learner.tokenizer, longest) for each in (some, others))
    if not learn:
        raise TuneError(f"none of {len(triples)} triples has at most {longest} tokens: raise --longest")
    before = _known(learner.loss(held))
    done = []
    for step in learner.train(learn):
        done.append(step)
        tell(Told(step.number, steps, step.loss, step.seconds))
    learner.save(out)
    note = Note(
        model=model,
        representation=representation,
        learnt=tuple(one.id for one in learn),
        held=tuple(one.id for one in held),
        losses=tuple(step.loss for step in done),
        held_before=before,
        held_after=_known(learner.loss(held)),
        recipe=asdict(recipe),
        machine=machine.describe(*machine.PACKAGES),
    )
    note.write(out)
    return Tuned(out, note, len(triples) - len(learn) - len(held), done[-1].seconds)


def _known(loss: float) -> float | None:
    return None if math.isnan(loss) else loss
