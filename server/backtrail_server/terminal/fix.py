"""`backtrail fix`: trace, search, show the fix that passed, apply it when asked to; then explain.

The fix comes before the model's explanation, which takes much longer than an edit that needs no model.
"""

from __future__ import annotations

import asyncio
import json as json_format
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, evolve, field
from rich.console import Console, Group
from rich.markdown import Markdown
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax
from rich.text import Text

from backtrail_server import keeping, words
from backtrail_server.assisting import Explained, ModelAssisting
from backtrail_server.hosting import HostNotStarted
from backtrail_server.results import Ran, Shown
from backtrail_server.terminal import document, hosting, show
from backtrail_server.terminal.place import Place
from backtrail_server.terminal.trace import locate, tell, traced

if TYPE_CHECKING:
    from backtrail_model.client import ModelClient
    from backtrail_model.evidence import Evidence
    from backtrail_model.repair import Fix


@define
class Outcome:
    """What became of one failure."""

    explained: Explained | None = None
    prompts: list[str] = field(factory=list)
    fix: Fix | None = None
    first_s: float | None = None  # from the start of the search to the first fix that passed
    seconds: float = 0.0  # of the whole search
    stopped: bool = False  # by Ctrl-C
    applied: bool = False
    notes: list[str] = field(factory=list)


def run(
    path: Path,
    *,
    python: str | None = None,
    json: bool = False,
    budget_s: float | None = None,
    seed: int | None = None,
    apply: bool = False,
    keep: bool = False,
    explain: bool = True,
) -> int:
    """0: nothing failed, or a fix passed everything; 1: no such fix was found; 2: nothing could be run."""
    console = Console(stderr=json)
    place = locate(path, python, console)
    if place is None:
        return 2
    fix = place.settings.fix
    fix = evolve(
        fix,
        budget_seconds=budget_s or fix.budget_seconds,
        seed=fix.seed if seed is None else seed,
        keep=keep or fix.keep,
    )
    place = evolve(place, settings=evolve(place.settings, fix=fix))
    return asyncio.run(_run(place, console, json=json, apply=apply, explain=explain))


async def _run(place: Place, console: Console, *, json: bool, apply: bool, explain: bool) -> int:
    ran = await traced(place, console)
    if ran is None:
        return 2
    if not json:
        tell(console, place, ran)
    if not ran.trace.failures:
        return _nothing_to_fix(console, ran, json)
    shown = Shown(ran, 0, ran.trace.failures[0])

    def searched(outcome: Outcome) -> None:
        if apply and outcome.fix is not None:
            _apply(outcome)
            if outcome.applied and place.settings.fix.keep:
                _keep(shown, outcome)
        if not json:
            _tell(console, place, outcome)

    outcome = await _assist(place, shown, console, searched, explain=explain)
    if json:
        print(json_format.dumps(document.of_fix(ran.trace, outcome), indent=1))
    return 0 if outcome.fix is not None and outcome.fix.honest else 1


def _nothing_to_fix(console: Console, ran: Ran, json: bool) -> int:
    if json:
        print(json_format.dumps(document.of_fix(ran.trace, Outcome()), indent=1))
    elif ran.failed:
        console.print("The run did not end well, but no failure was recorded to work on.", style="yellow")
    else:
        console.print("Nothing to fix.", style="green")
    return 1 if ran.failed else 0


async def _assist(
    place: Place, shown: Shown, console: Console, searched: Callable[[Outcome], None], *, explain: bool
) -> Outcome:
    """Search and explain with a model; without one, only search among the edits that need none. `searched`
    is called once the search has ended."""
    outcome = Outcome()
    evidence = await asyncio.to_thread(ModelAssisting().evidence, shown) if explain else None
    if evidence is not None:
        console.print()
        console.print(Markdown(ModelAssisting().summary(evidence)))
    try:
        async with hosting.borrowed(place.settings, console) as client:
            await _search(client, place, shown, console, outcome)
            searched(outcome)
            if evidence is not None and not outcome.stopped:
                await _explain(client, evidence, console, outcome)
    except HostNotStarted as error:
        outcome.notes.append(f"{error} Only edits that need no model were tried.")
        await _search(None, place, shown, console, outcome)
        searched(outcome)
    return outcome


async def _explain(client: ModelClient, evidence: Evidence, console: Console, outcome: Outcome) -> None:
    from backtrail_model.errors import HostError

    try:
        with console.status("explaining") as status:

            def on_text(text: str) -> None:
                status.update(f"explaining: …{escape(' '.join(text.split())[-70:])}")

            outcome.explained = await ModelAssisting().explain(client, evidence, 0, on_text)
    except HostError as error:
        outcome.notes.append(f"No explanation: {error}")
        console.print(outcome.notes[-1], style="yellow", markup=False)
        return
    console.print()
    if outcome.explained.text:
        console.print(Markdown(outcome.explained.text))
    note = words.claims_words(len(outcome.explained.dropped), outcome.explained.guesses)
    if note:
        console.print(f"({note})", style="dim", markup=False)


async def _search(
    client: ModelClient | None, place: Place, shown: Shown, console: Console, outcome: Outcome
) -> None:
    from backtrail_model.errors import HostError

    began = time.monotonic()
    console.print()
    try:
        with console.status("searching for a fix") as status:
            search = ModelAssisting().fixes(
                client,
                shown,
                place.root,
                place.settings,
                on_progress=lambda words: status.update(_searching(words, outcome)),
                on_prompt=outcome.prompts.append,
                on_trouble=lambda words: outcome.notes.append(
                    f"The model could not be asked further: {words}."
                ),
            )
            async with aclosing(search) as fixes:
                async for fix in fixes:
                    outcome.first_s = outcome.first_s or time.monotonic() - began
                    outcome.fix = fix
    except HostError as error:
        outcome.notes.append(f"The search ended early: {error}")
    except asyncio.CancelledError:
        # Ctrl-C cancels this task. What was found until then is not lost.
        task = asyncio.current_task()
        if outcome.fix is None or task is None or task.uncancel():
            raise
        outcome.stopped = True
        outcome.notes.append("Stopped before the search had ended. This is the best fix until then.")
    outcome.seconds = time.monotonic() - began


def _searching(words: str, outcome: Outcome) -> str:
    hint = "; Ctrl-C takes the best so far" if outcome.fix is not None else ""
    return f"searching for a fix: {escape(words)}{hint}"


def _apply(outcome: Outcome) -> None:
    """Write the fix, if it passed everything and the file is still the text that ran."""
    fix = outcome.fix
    if fix is None or not fix.honest:
        outcome.notes.append("Nothing was written: only a fix that passed everything is applied.")
        return
    path = fix.candidate.path
    with path.open(encoding="utf-8", newline="") as file:
        now = file.read()
    if now.removeprefix("\ufeff") != fix.before.removeprefix("\ufeff"):
        outcome.notes.append(f"{path.name} has changed since it ran, so the fix was not written.")
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(fix.candidate.text)
    outcome.applied = True


def _keep(shown: Shown, outcome: Outcome) -> None:
    if outcome.fix is not None:
        refused = keeping.keep(shown, outcome.fix.before, outcome.fix.candidate.text)
        outcome.notes += [refused] if refused else []


def _tell(console: Console, place: Place, outcome: Outcome) -> None:
    for note in outcome.notes:
        console.print(note, style="yellow", markup=False)
    fix = outcome.fix
    if fix is None:
        console.print(f"No fix was found in {outcome.seconds:.0f} s.", style="yellow")
        return
    style = "green" if fix.preferred else "yellow"
    title = Text(fix.title, f"bold {style}")
    by = f"{show.relative(fix.candidate.path, place.root)} · {fix.proposer} · found after {fix.seconds:.1f} s"
    diff = Syntax(fix.diff.rstrip(), "diff", background_color="default")
    parts = Group(diff, show.items_of(fix.verdict.items))
    console.print(Panel(parts, title=title, subtitle=Text(by, "dim"), border_style=style, title_align="left"))
    if outcome.applied:
        console.print(f"Written to {show.relative(fix.candidate.path, place.root)}.", style="green")
    elif fix.honest:
        console.print("Your files are unchanged. To write it, run this again with --apply.", style="dim")
    else:
        console.print("Your files are unchanged; --apply writes only what passed everything.", style="dim")
