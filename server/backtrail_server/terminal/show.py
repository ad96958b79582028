"""A trace as rich renderables: what ran and why, the items, the failing frames with their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from backtrail_tracer.trace import Failure, FailureFrame, Item, SideEffect, Trace, Value

SourceOf = Callable[[Path], str]

_MARKS = {
    "passed": ("✓", "green"),
    "failed": ("✗", "red"),
    "error": ("✗", "red"),
    "stopped": ("■", "yellow"),
    "skipped": ("–", "dim"),
    None: ("…", "yellow"),
}
_LOCALS_SHOWN = 12
_PRINTED_LINES = 20
_VALUE_WIDTH = 88
_NAME_WIDTH = 30


def relative(path: Path, root: Path) -> str:
    """The path as a person would say it from the project's folder."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best: "0.4 ms", "35 ms", "2.10 s"."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def header(label: str, reason: str, interpreter: str, trace: Trace | None) -> Text:
    """Which entry ran and why that one, with which Python and which recorder."""
    text = Text.assemble(("Ran ", "dim"), (label, "bold"), (f"   because {reason}", "dim"), "\n")
    text.append(f"    {interpreter}", "dim")
    if trace is not None:
        text.append(f" · {trace.recorder} recorder: {trace.reason}", "dim")
        text.append(f" · {duration(trace.seconds)}", "dim")
    return text


def items_of(each: Iterable[Item]) -> Table:
    """One row an item: outcome, name, time."""
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    table.add_column(justify="right", style="dim")
    for item in each:
        mark, style = _MARKS[item.outcome]
        table.add_row(Text(mark, style), Text(item_name(item)), duration(item.seconds))
    return table


def item_name(item: Item) -> str:
    """A script is an item named by its whole path, of which the last part will do."""
    return Path(item.name).name if Path(item.name).is_absolute() and "::" not in item.name else item.name


def tally(trace: Trace) -> Text:
    """ "2 passed, 1 failed", and how the run ended when that is worth saying."""
    counts: dict[str, int] = {}
    for item in trace.items:
        counts[item.outcome or "unfinished"] = counts.get(item.outcome or "unfinished", 0) + 1
    words = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "nothing ran to its end"
    text = Text(words, "bold red" if trace.failures or trace.status != "completed" else "bold green")
    if trace.message:
        text.append(f"  ({trace.message})", "yellow")
    return text


def failure(trace: Trace, which: Failure, root: Path, source_of: SourceOf) -> Group:
    """The failing line with the recorded values of the user's frames, outermost first."""
    name = next((item_name(item) for item in trace.items if item.id == which.item), "")
    title = Text.assemble(
        (which.type, "bold red"), (": " if which.message else "", "red"), (_first_line(which.message), "red")
    )
    parts: list[RenderableType] = [title, Text(f"in {name}", "dim")] if name else [title]
    if which.compared is not None:
        parts.append(_comparison(*which.compared))
    elif which.check is not None:
        parts.append(Text(which.check.words))
    parts.extend(_frame(frame, root, source_of) for frame in which.frames if frame.traced)
    parts.extend(Text(f"after {cause}", "dim") for cause in which.chain)
    return Group(*parts)


def _comparison(expected: Value, actual: Value) -> Text:
    return Text.assemble(
        ("expected ", "dim"), (expected.text, "green"), ("  got ", "dim"), (actual.text, "red")
    )


def _frame(frame: FailureFrame, root: Path, source_of: SourceOf) -> RenderableType:
    head = Text.assemble((f"{relative(frame.path, root)}:{frame.line}", "cyan"), (f"  {frame.name}", "bold"))
    parts: list[RenderableType] = [head]
    line = source_line(source_of(frame.path), frame.line)
    if line:
        parts.append(Padding(Syntax(line.strip(), "python", background_color="default"), (0, 0, 0, 4)))
    if frame.telling:
        parts.append(Padding(values(frame.telling), (0, 0, 0, 4)))
    return Padding(Group(*parts), (0, 0, 0, 2))


def values(recorded: Mapping[str, Value]) -> Table:
    """Name, value and type; the rest is counted when there are many."""
    table = Table.grid(padding=(0, 1))
    table.add_column(style="magenta", no_wrap=True, max_width=_NAME_WIDTH)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(style="dim", no_wrap=True, max_width=_NAME_WIDTH)
    shown = list(recorded.items())[:_LOCALS_SHOWN]
    for name, value in shown:
        table.add_row(Text(name), "=", Text(_short(value.text)), Text(value.type))
    if len(recorded) > len(shown):
        table.add_row("", "", f"and {len(recorded) - len(shown)} more", "")
    return table


def lines(trace: Trace, path: Path, source_of: SourceOf) -> Table:
    """Each executed line of a file with how often it was kept and what it changed last."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(justify="right", style="cyan", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="magenta", no_wrap=True)
    hits = trace.lines(path)
    for number, text in enumerate(source_of(path).splitlines(), start=1):
        kept = hits.get(number, ())
        count = f"{len(kept)}×" if kept else ""
        table.add_row(str(number), count, Text(text), Text(_effects(trace, path, number)))
    return table


def _effects(trace: Trace, path: Path, line: int) -> str:
    kept = trace.lines(path).get(line, ())
    if not kept:
        return ""
    last: dict[str, Value] = {}
    for hit in kept:
        last.update(hit.changed)
    words = "  ".join(f"{name} = {_short(value.text, 32)}" for name, value in last.items())
    cap = trace.cap_of(path, line)
    return f"{words}  ({cap.words})" if cap else words


def limits(trace: Trace) -> Iterator[Text]:
    """What was not recorded, and what the guard stopped: a trace is honest about its limits."""
    for words in trace.limits:
        yield Text(words, "yellow")
    if trace.again:
        yield Text(trace.again, "yellow" if trace.flaky else "dim")
    if trace.caps:
        last = any(cap.last for cap in trace.caps)
        kept = "their first and last hits" if last else "only their first hits"
        yield Text(f"{len(trace.caps)} busy lines: {kept} were kept", "dim")
    yield from _stopped([effect for effect in trace.side_effects if not effect.allowed])
    for words in trace.loose_ends:
        yield Text(words, "dim")


def _stopped(effects: Sequence[SideEffect]) -> Iterator[Text]:
    """What the guard stopped; what no line of the person's asked for, as pytest's plugins do, in one line."""
    for effect in effects:
        if effect.path:
            yield Text(f"stopped: {effect.kind} {effect.detail} (line {effect.line})", "yellow")
    if others := [f"{effect.kind} {effect.detail}" for effect in effects if not effect.path]:
        yield Text(f"stopped outside your code: {'; '.join(others)}", "dim")


def whole(console: Console, trace: Trace, root: Path, source_of: SourceOf) -> None:
    """Items, tally, failures and limits, in that order."""
    console.print(items_of(trace.items))
    console.print(tally(trace))
    for which in trace.failures:
        console.print()
        console.print(failure(trace, which, root, source_of))
    for words in limits(trace):
        console.print(words)


def printed(output: str) -> Group:
    """What a program wrote, its last lines."""
    lines = output.rstrip().splitlines()
    kept = [Text(line, overflow="fold") for line in lines[-_PRINTED_LINES:]]
    more = len(lines) - len(kept)
    head = f"it printed, after {more} more line{'s' if more > 1 else ''}:" if more else "it printed:"
    return Group(Text(head, "dim"), *(Padding(line, (0, 0, 0, 2)) for line in kept))


def source_line(source: str, line: int) -> str:
    found = source.splitlines()[line - 1 : line]
    return found[0] if found else ""


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""


def _short(text: str, width: int = _VALUE_WIDTH) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
