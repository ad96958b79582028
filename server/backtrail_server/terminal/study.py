"""`backtrail study`: what a trace is worth to a model, measured on a data set.

The person named the data on the command line, so its programs may run, within the guard and the limits.
"""

from __future__ import annotations

import asyncio
import hashlib
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from backtrail_model.errors import HostError
from backtrail_model.study import machine, readers
from backtrail_model.study.conditions import (
    CONTROLS,
    BadCondition,
    Control,
    Scaling,
    conditions,
    representations,
)
from backtrail_model.study.readers import DataError
from backtrail_model.study.records import Records, RecordsError
from backtrail_model.study.replay import interpreter
from backtrail_model.study.report import baselines_table, rates_table, sentences_table, write
from backtrail_model.study.study import Plan, Study
from backtrail_model.study.study import Progress as Told
from backtrail_model.study.summary import Summary, summarise
from backtrail_model.study.tasks import Item, Kind
from backtrail_model.tune.adapter import learnt
from backtrail_server.hosting import HostNotStarted
from backtrail_server.terminal.model_hosts import Serving, labels

INTERRUPTED = 130


@frozen
class Asked:
    """What the command line asks for."""

    data: tuple[Path, ...]
    models: tuple[str, ...]
    representations: tuple[str, ...]
    scaling: tuple[str, ...]
    controls: tuple[str, ...]
    out: Path
    task: Kind = "repair"
    sample: int | None = None
    limit: int | None = None
    seed: int = 0
    budget_s: float = 60.0
    resume: bool = False
    python: Path | None = None
    token: str = field(default="", repr=False)
    allow_hosts: tuple[str, ...] = ()


def run(asked: Asked) -> int:
    """0: the whole study is done; 1: a model could not be asked; 2: nothing can be studied; 130: stopped.

    However it ends, what was measured is on disk, and the report says what is there.
    """
    console = Console(stderr=True)
    try:
        plan, manifest = plan_of(asked), manifest_of(asked)
        with Records.open(asked.out, manifest, resume=asked.resume) as records:
            status = _studied(asked, plan, records, console)
            path = write(records, manifest, trained_on(asked.models, plan.items))
    except (DataError, BadCondition, RecordsError) as error:
        console.print(str(error), style="yellow", markup=False)
        return 2
    print("\n".join(shown(summarise(records))))
    console.print(f"The report: {path}", markup=False)
    return status


def shown(summary: Summary) -> Iterator[str]:
    """The tables that a person waits for; the report has the others."""
    yield from rates_table(summary.rates)
    if summary.baselines:
        yield from ("", *baselines_table(summary.baselines))
    if summary.sentences:
        yield from ("", *sentences_table(summary.sentences))


def plan_of(asked: Asked) -> Plan:
    """Raises DataError or BadCondition."""
    scalings = [Scaling.parse(text) for text in asked.scaling]
    shown = representations(asked.representations)
    return Plan(
        items=items_of(asked),
        conditions=conditions(
            asked.task, tuple(labels(asked.models)), shown, scalings, controls(asked.controls)
        ),
        seed=asked.seed,
        budget_s=asked.budget_s,
    )


def items_of(asked: Asked) -> tuple[Item, ...]:
    items = [item for path in asked.data for item in readers.read(path)]
    chosen = readers.choose(items, asked.task, sample=asked.sample, seed=asked.seed, limit=asked.limit)
    if not chosen:
        raise DataError(f"there is no item to {asked.task} in {', '.join(path.name for path in asked.data)}")
    if len({item.id for item in chosen}) < len(chosen):
        raise DataError("two of the files hold items with the same id: study them one by one")
    return chosen


def manifest_of(asked: Asked) -> dict[str, Any]:
    """What must be the same for records to be comparable."""
    data = [
        {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in asked.data
    ]
    return {
        "task": asked.task,
        "data": data,
        "sample": asked.sample,
        "seed": asked.seed,
        "budget_s": asked.budget_s,
        "machine": machine.describe(*machine.PACKAGES),
    }


def trained_on(models: Sequence[str], items: Sequence[Item]) -> list[str]:
    """What must be said of adapters that learnt from items that they are now judged by."""
    said = []
    for name in models:
        _, _, adapter = name.partition("+")
        known = learnt(Path(adapter)) & {item.id for item in items} if adapter else set()
        if known:
            said.append(f"{name} was trained on {len(known)} of these items: its shares mean little")
    return said


def _studied(asked: Asked, plan: Plan, records: Records, console: Console) -> int:
    try:
        with _bar(console) as progress:
            task = progress.add_task("", total=None)

            def told(news: Told) -> None:
                if progress.tasks[0].total is None:  # what an earlier run did tells nothing of our speed
                    progress.reset(task, completed=news.done, total=news.total)
                progress.update(task, completed=news.done, total=news.total, description=news.words)

            serving = Serving(
                labels(asked.models),
                lambda words: progress.update(task, description=words),
                asked.token,
                asked.allow_hosts,
            )
            # Being ended from outside is as Ctrl-C: the model host has to be ended as well. A shell that
            # starts us in the background makes us deaf to SIGINT, which would undo both.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
            asyncio.run(Study(plan, records, serving, interpreter(asked.python), told).run())
    except (HostError, HostNotStarted) as error:
        console.print(f"{error} What was measured is kept; go on with --resume.", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped. What was measured is kept; go on with --resume.", style="yellow")
        return INTERRUPTED
    return 0


def _bar(console: Console) -> Progress:
    return Progress(
        BarColumn(20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn(
            "{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")
        ),
        console=console,
        redirect_stdout=False,
        # A model is started, an item takes its time: the rate of the last hour tells more than the last step.
        speed_estimate_period=3600,
    )


def split(text: str) -> tuple[str, ...]:
    """ "a, b" → ("a", "b")."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def controls(names: Sequence[str]) -> tuple[Control, ...]:
    """Raises BadCondition."""
    known: dict[str, Control] = {name: name for name in CONTROLS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BadCondition(f"no control {unknown[0]!r}: there are {', '.join(known)}")
    return tuple(known[name] for name in names)


def paths(names: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(path.resolve() for path in names))
