"""`backtrail models`: the weights that are kept on this machine."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table


class Bars:
    """Progress of fetching and converting weights as bars; usable as their progress callback.

    They are drawn only while there is something to wait for, and never take stdout for themselves:
    a host says "ready" there, to a program that waits for it.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=console,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show `done` of `total` bytes of a stage ("download", "assembly", "conversion"); 0: not known."""
        if stage not in self._tasks:
            for earlier in self._tasks.values():  # a new stage begins when the one before is over
                over = self._progress.tasks[earlier].total or 1
                self._progress.update(earlier, total=over, completed=over)
            self._tasks[stage] = self._progress.add_task(stage, total=total or None)
            self._progress.start()
        self._progress.update(self._tasks[stage], completed=done, total=total or None)
        if self._progress.finished:
            self._progress.stop()


def run(action: str, name: str | None) -> int:
    from backtrail_model import weights

    console = Console(stderr=True)
    if action == "list":
        Console().print(_table())
        return 0
    if name is None:
        console.print(f"which model? try: backtrail models {action} qwen2.5-coder-1.5b")
        return 2
    try:
        with Bars(console) as bars:
            print(_ACTIONS[action](name, bars))
    except weights.WeightsError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    return 0


def _fetch(name: str, bars: Bars) -> str:
    from backtrail_model import weights

    return str(weights.prepare(name, bars))


def _verify(name: str, bars: Bars) -> str:
    from backtrail_model import weights

    wrong = weights.verify(name, bars)
    if wrong:
        advice = f"Fetch it again: backtrail models remove {name}, then fetch."
        raise weights.WeightsError("; ".join(wrong), advice)
    return f"{name}: every checksum holds"


def _remove(name: str, bars: Bars) -> str:
    from backtrail_model import weights

    return f"{weights.human(weights.remove(name))} freed"


_ACTIONS = {"fetch": _fetch, "verify": _verify, "remove": _remove}


def _table() -> Table:
    from backtrail_model import weights

    table = Table("model", "publisher", "licence", "state", "on disk", box=None)
    for model in weights.list_models():
        kept = weights.human(model.on_disk) if model.on_disk else ""
        table.add_row(model.alias, model.hub, model.licence, model.state, kept)
    return table
