"""How runs, failures and values are put into words: plain text and markdown, no protocol types."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backtrail_server.results import Ran, View
    from backtrail_tracer.divergence import Divergence
    from backtrail_tracer.questions import Recorded
    from backtrail_tracer.trace import Failure, FailureFrame, Item, Trace, Value

# What explains nothing beside a failing line: functions, classes, modules.
_DULL = frozenset({"function", "builtin_function_or_method", "module", "type"})
_MOST_VALUES = 8
_VALUE_CHARS = 80
_ENDINGS = {
    "usage": "could not be run",
    "stopped": "stopped at a side effect",
    "timeout": "stopped at its time limit",
    "killed": "stopped at a limit",
    "died": "ended itself",
    "cancelled": "cancelled",
}


def cut(text: str, most: int) -> str:
    """One line of at most `most` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def clock(trace: Trace) -> str:
    return time.strftime("%H:%M:%S", time.localtime(trace.started))


def count_words(counts: Mapping[Any, int]) -> str:
    """{"passed": 2, "failed": 1} -> "2 passed, 1 failed"."""
    order = ("passed", "failed", "error", "stopped", "skipped")
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in order if counts.get(outcome))


def items_words(items: Iterable[Item]) -> str:
    """What became of tests: "passed 12 ms", "2 passed, 1 failed 30 ms"."""
    each = list(items)
    counts = Counter(item.outcome or "stopped" for item in each)
    words = next(iter(counts)) if len(each) == 1 else count_words(counts)
    return f"{words} {duration(sum(item.seconds for item in each))}"


def outcome_words(trace: Trace) -> str:
    """How a run went, in a few words."""
    ending = _ENDINGS.get(trace.status)
    outcomes = [item.outcome or "stopped" for item in trace.items]
    words = [count_words(Counter(outcomes))] if len(outcomes) > 1 else []
    if ending:
        words.append(ending)
    elif not words:
        words += outcomes or ["failed" if trace.status == "failed" else "passed"]
    return f"{', '.join(words)} {duration(trace.seconds)}"


def failure_title(failure: Failure) -> str:
    """The exception in one line; of a check without a message, what it asked for."""
    first = failure.message.strip().splitlines()
    if not first and failure.check is not None:
        first = [failure.check.words]
    return f"{failure.type}: {first[0]}" if first else failure.type


def failure_words(failure: Failure) -> str:
    """The exception, and where a check failed what was expected and what came, or what it asked for."""
    lines = [f"{failure.type}: {failure.message}".strip().rstrip(":")]
    if failure.compared is not None:
        expected, actual = failure.compared
        lines += [f"expected {expected.text}", f"actual   {actual.text}"]
    elif failure.check is not None:
        lines.append(failure.check.words)
    lines += [f"after {cause}" for cause in failure.chain]
    return "\n".join(lines)


def claims_words(dropped: int, guesses: int) -> str:
    """What became of a model's claims that the record does not bear out; empty when it bears out all."""
    told = []
    if dropped:
        claims = "1 claim" if dropped == 1 else f"{dropped} claims"
        told.append(f"{claims} of the model that the trace does not bear out left out")
    if guesses:
        claims = "1 that" if guesses == 1 else f"{guesses} that"
        told.append(f"{claims} the trace cannot tell marked as the model's guess")
    words = "; ".join(told)
    return words[:1].upper() + words[1:]


def frame_words(frame: FailureFrame) -> str:
    """A frame with the values of its variables."""
    values = value_words(frame.telling)
    return f"in {frame.name}" + (f": {values}" if values else "")


def again_words(trace: Trace) -> str:
    """What is to be said of a failure whose entry was run a second time; empty when all is as expected."""
    return "" if trace.passes == 2 else trace.again


def value_words(variables: Mapping[str, Value]) -> str:
    told = [
        f"{name} = {cut(value.text, _VALUE_CHARS)}"
        for name, value in variables.items()
        if value.type not in _DULL and not name.startswith(("__", "@"))
    ]
    more = len(told) - _MOST_VALUES
    return ", ".join(told[:_MOST_VALUES]) + (f", and {more} more" if more > 0 else "")


def divergence_words(found: Divergence) -> str:
    """Where a run first differs from the last good one; said of the line it is shown at."""
    return f"first differs from the last good run here: {found.words}"


def users_frames(failure: Failure) -> list[FailureFrame]:
    """The frames in the person's own code, innermost first."""
    return [frame for frame in reversed(failure.frames) if frame.traced]


def ending_words(trace: Trace) -> str:
    """Why a run came to no proper end, or an empty text."""
    if trace.status not in _ENDINGS:
        return ""
    blocked = [f"{effect.kind} {effect.detail}" for effect in trace.side_effects if not effect.allowed]
    if trace.status == "stopped" and blocked:
        what = f"{_ENDINGS['stopped']}: the guard blocked {'; '.join(blocked[:3])}"
        return f"{what}. To let it pass, use “Allow … for this workspace” on that line, or set guard.allow"
    return trace.message or _ENDINGS[trace.status]


def code(text: str, language: str = "python") -> str:
    """A fenced block that no backticks in the text can end."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def inline(text: str) -> str:
    ticks = "`"
    while ticks in text:
        ticks += "`"
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def age_words(view: View) -> str:
    """When and by what a value was recorded, and whether the file was edited since."""
    words = f"recorded {clock(view.ran.trace)} by {view.ran.entry.label}"
    return f"{words} — **old**: the file was edited since" if view.old else words


def recorded_markdown(recorded: Recorded, view: View) -> str:
    """The hover of a recorded expression: first, last and count, types, how it failed, when."""
    head = f"**{inline(recorded.expression)}** · {' | '.join(map(inline, recorded.types))}"
    if recorded.count > 1:
        head += f" · {recorded.count} hits"
    shown = [head, *(_series(recorded))]
    if recorded.at_failure is not None and recorded.at_failure.text != recorded.last.text:
        shown += ["at the failure", code(_value(recorded.at_failure))]
    if recorded.notes:
        shown.append(f"*{'; '.join(recorded.notes)}*")
    shown.append(age_words(view))
    return "\n\n".join(shown)


def _series(recorded: Recorded) -> list[str]:
    best = recorded.best
    if best.count == 1 or best.first.text == best.last.text:
        return [code(_value(best.last))]
    return [code(f"{_value(best.first)}  # first\n{_value(best.last)}  # last, of {best.count}")]


def _value(value: Value) -> str:
    extra = [f"length {value.length}"] if value.cut and value.length is not None else []
    extra += [f"shape {value.shape}"] if value.shape else []
    extra += ["redacted"] if value.redacted else []
    return value.text + (f"  # {', '.join(extra)}" if extra else "")


def relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def why_words(ran: Ran) -> str:
    return f"{ran.entry.label} ({ran.entry.reason})"
