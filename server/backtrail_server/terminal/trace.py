"""`backtrail trace`: one traced run, shown in the terminal or as JSON.

Naming a path on the command line is the consent to run it, once; the guard and the limits hold.
"""

from __future__ import annotations

import asyncio
import json as json_format
from collections.abc import Callable
from pathlib import Path

from attrs import evolve
from rich.console import Console

from backtrail_probe import wire
from backtrail_server import comparing
from backtrail_server.kept import Kept
from backtrail_server.results import Ran, Results
from backtrail_server.terminal import document, show
from backtrail_server.terminal.place import NothingToRun, Place, find
from backtrail_server.tracing import TracerTracing
from backtrail_tracer.interpreter import InterpreterError
from backtrail_tracer.trace import Item


def run(path: Path, *, python: str | None, json: bool, lines: bool, compare: bool = False) -> int:
    """0: it ran and all was well; 1: it failed; 2: nothing could be run."""
    console = Console(stderr=json)
    place = locate(path, python, console)
    ran = asyncio.run(traced(place, console)) if place else None
    if place is None or ran is None:
        return 2
    if json:
        print(json_format.dumps(document.of_trace(ran.trace), indent=1))
    else:
        tell(console, place, ran, lines)
    if compare:
        compared(console, place, ran)
    return 1 if ran.failed else 0


def locate(path: Path, python: str | None, console: Console) -> Place | None:
    """What to run for the path; None after having said why there is nothing."""
    try:
        place = find(path, python)
    except (NothingToRun, InterpreterError) as error:
        complain(console, error)
        return None
    for problem in place.problems:
        console.print(problem, style="yellow", markup=False)
    return place


def complain(console: Console, error: Exception) -> None:
    """What went wrong, and what to do about it where the error knows."""
    advice = getattr(error, "advice", "")
    words = str(error)
    if advice and advice not in words:
        words = f"{words}. {advice}"
    console.print(words, style="yellow", markup=False)


async def traced(place: Place, console: Console) -> Ran | None:
    """One bounded run of the place's entry; None after having said why it could not start."""
    tracing = TracerTracing()
    # Nobody is there to ask a stopped program anything, so it need not stop.
    settings = evolve(place.settings, hover=evolve(place.settings.hover, evaluate=False))
    with console.status(f"running {place.entry.label}") as status:

        def on_item(item: Item) -> None:
            status.update(f"running {place.entry.label}: {item.name} {item.outcome}")

        try:
            interpreter = await tracing.describe(place.interpreter)
        except InterpreterError as error:
            complain(console, error)
            return None
        done = await tracing.run(place.entry, interpreter, place.root, settings, on_item)
        if done.again is not None:
            status.update(f"running {place.entry.label} once more, for the last hits before the failure")
        trace = await done.again() if done.again is not None else done.trace
    return Results().put(trace, place.entry, interpreter)


def compared(console: Console, place: Place, ran: Ran) -> None:
    """Where each failure first differs from the last good run; then the run is kept for the next time."""
    from rich.markdown import Markdown

    from backtrail_tracer.divergence import compare

    kept = Kept(place.root)
    good = kept.last_good(ran.trace.entry) if ran.trace.failures else None
    for which in ran.trace.failures if good else ():
        assert good is not None
        found = compare(good, ran.trace, which.item)
        console.print(Markdown(comparing.markdown(found, good, ran.trace, place.root)))
    if not ran.trace.failures:
        console.print("this run is kept, to compare a later failure with", style="dim")
    elif good is None:
        console.print(f"no good run of {place.entry.label} is kept to compare with", style="yellow")
    kept.keep(ran.trace)


def source_of(ran: Ran) -> Callable[[Path], str]:
    """The texts as they ran; an empty one for a file whose text is not known."""
    return lambda path: ran.text(path) or ""


def tell(console: Console, place: Place, ran: Ran, lines: bool = False) -> None:
    """The whole of a run for a person."""
    with_python = f"{ran.interpreter.path} ({ran.interpreter.reason})"
    console.print(show.header(place.entry.label, place.entry.reason, with_python, ran.trace))
    console.print()
    if lines:
        for path in filter(source_of(ran), ran.trace.files):  # an empty __init__.py has no lines
            console.print(show.relative(path, place.root), style="bold", markup=False)
            console.print(show.lines(ran.trace, path, source_of(ran)))
            console.print()
    # What pytest prints is its report of the items that follow anyway.
    if place.entry.kind != wire.PYTEST and ran.trace.stdout.strip():
        console.print(show.printed(ran.trace.stdout))
        console.print()
    show.whole(console, ran.trace, place.root, source_of(ran))
