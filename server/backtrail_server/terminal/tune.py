"""`backtrail tune`: a small model learns from fixes that were verified.

Data sets are named on the command line, and their programs run, within the guard and the limits, to get the
facts of their failures. A person's own fixes are those that were kept with the setting fix.keep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from attrs import field, frozen
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from backtrail_model import weights
from backtrail_model.study import readers
from backtrail_model.study.readers import DataError
from backtrail_model.study.replay import Unusable, interpreter
from backtrail_model.study.tasks import Item
from backtrail_model.tune.kept import Kept
from backtrail_model.tune.run import Told, Tuned, TuneError, tune
from backtrail_model.tune.triples import Triple, of_item, read
from backtrail_server.terminal.models import Bars
from backtrail_server.trust import data_folder

SHOWN = 10
"""Rows of the table of losses."""


@frozen
class Asked:
    """What the command line asks for; numbers as in `Recipe`."""

    model: str
    out: Path
    data: tuple[Path, ...] = ()
    own: bool = False
    representation: str = "slice"
    sample: int | None = None
    hold_out: float = 0.1
    steps: int = 60
    rank: int = 8
    learning_rate: float = 2e-4
    batch: int = 4
    longest: int = 1024
    seed: int = 0
    python: Path | None = None
    kept: Kept = field(factory=lambda: Kept(data_folder()))


def run(asked: Asked) -> int:
    """0: an adapter was written; 1: nothing could be learnt; 2: there is nothing to learn from."""
    console = Console(stderr=True)
    if asked.out.exists() and any(asked.out.iterdir()):
        console.print(f"{asked.out} is not empty: name another --out", style="yellow", markup=False)
        return 2
    try:
        triples = asyncio.run(triples_of(asked, console))
        if not triples:
            console.print(_nothing(asked), style="yellow", markup=False)
            return 2
        with Bars(console) as bars:
            base = weights.prepare(asked.model, bars)
        tuned = _tuned(asked, triples, base, console)
    except DataError as error:
        console.print(str(error), style="yellow", markup=False)
        return 2
    except (TuneError, weights.WeightsError) as error:
        console.print(str(error), style="red", markup=False)
        return 1
    _tell(asked, tuned, console)
    return 0


async def triples_of(asked: Asked, console: Console) -> list[Triple]:
    """The person's own fixes, then those of the data sets. Raises DataError."""
    triples = list(read(asked.kept.path)) if asked.own else []
    for path in asked.data:
        items = readers.choose(readers.read(path), "repair", sample=asked.sample, seed=asked.seed)
        triples += await _of_items(items, path.name, asked, console)
    return triples


async def _of_items(items: Iterable[Item], origin: str, asked: Asked, console: Console) -> list[Triple]:
    found, python = [], interpreter(asked.python)
    with _bar(console) as progress:
        for item in progress.track(list(items), description=f"replaying {origin}"):
            made = await of_item(item, python, representation=asked.representation, origin=origin)
            if isinstance(made, Unusable):
                console.print(f"{item.id} is left out: {made.reason}", style="dim", markup=False)
            else:
                found.append(made)
    return found


def _tuned(asked: Asked, triples: list[Triple], base: Path, console: Console) -> Tuned:
    with _bar(console) as progress:
        task = progress.add_task("learning", total=asked.steps)

        def tell(told: Told) -> None:
            progress.update(task, completed=told.step, description=f"learning: loss {told.loss:.3f}")

        return tune(
            triples,
            model=asked.model,
            base=base,
            out=asked.out,
            representation=asked.representation,
            hold_out=asked.hold_out,
            steps=asked.steps,
            rank=asked.rank,
            learning_rate=asked.learning_rate,
            batch=asked.batch,
            longest=asked.longest,
            seed=asked.seed,
            tell=tell,
        )


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<28}", markup=False),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        redirect_stdout=False,
    )


def _tell(asked: Asked, tuned: Tuned, console: Console) -> None:
    note = tuned.note
    table = Table("step", "loss", box=None)
    every = max(1, len(note.losses) // SHOWN)
    for number in sorted({*range(0, len(note.losses), every), len(note.losses) - 1}):
        table.add_row(str(number + 1), f"{note.losses[number]:.4f}")
    Console().print(table)
    print(f"learnt from {len(note.learnt)} fixes in {tuned.seconds:.0f} s")
    if note.held_before is not None and note.held_after is not None:
        print(f"loss on {len(note.held)} others: {note.held_before:.4f} before, {note.held_after:.4f} after")
    if tuned.left_out:
        print(f"{tuned.left_out} were longer than {asked.longest} tokens and left out")
    words = f"To use it: backtrail host --model {asked.model} --adapter {asked.out}"
    console.print(words, markup=False, soft_wrap=True)


def _nothing(asked: Asked) -> str:
    if asked.data:
        return "No item of the data could be used."
    if asked.own:
        return f"No fix of yours is kept in {asked.kept.path}: set fix.keep, and apply fixes that passed."
    return "Name a data set, or --own for the fixes that you applied."
