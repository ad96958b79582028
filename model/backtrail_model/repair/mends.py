"""What a text that does not parse was meant to be: texts that do, a few small steps away. No model.

A step is one a person would take who reads the parser's message: close a bracket or a string, put in or
take out one sign, move lines in or out, give a body its head back. Steps are taken best first, and one that
brings the parser further down the file is trusted more, as in the search of Diekmann and Tratt, "Don't
Panic!" (ECOOP 2020), for least-cost repairs of syntax errors.
"""

from __future__ import annotations

import ast
import heapq
import re
from collections.abc import Iterator, Sequence
from itertools import count

from attrs import frozen

from backtrail_model.repair.headless import headers
from backtrail_model.repair.source import error_of

STEPS = 4
MOST_PARSED = 600
MOST_CHARS = 1_500_000
"""What is parsed in all: 600 small files, or a file of 100 kB fifteen times."""
NEAREST = 40
"""Places in a line where a sign is put in or a token taken out."""
NO_PROGRESS = 0.15
"""A step after which the parser comes no further is seldom the first half of something right."""
SIGNS = (")", "]", "}", ":", ",", "=", "(", '"', "'")
ENDLESS = ("was never closed", "unterminated", "EOF", "unexpected end")

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")


@frozen
class Mend:
    """A text, some steps away; `note` says what was done, `weight` (at most 1) how likely it was meant."""

    text: str
    note: str
    weight: float


@frozen
class _Partly:
    """Steps that were taken. `line` is where the parser gave up before the last of them."""

    text: str
    notes: tuple[str, ...] = ()
    line: int = 0

    def then(self, step: Mend, line: int) -> _Partly:
        # The same step once more (a second bracket in another line) is one habit, told once.
        notes = self.notes if self.notes[-1:] == (step.note,) else (*self.notes, step.note)
        return _Partly(step.text, notes, line)


def mends(text: str, tests: Sequence[str] = ()) -> Iterator[Mend]:
    """The likeliest first; nothing for a text that parses. `tests` are sources that use what the file
    defines: they tell the names and the number of arguments of what has lost its head."""
    numbers, seen = count(), {text}
    queue = [(-1.0, next(numbers), _Partly(text))]
    for _ in range(min(MOST_PARSED, MOST_CHARS // (len(text) + 1))):
        if not queue:
            return
        lost, _, here = heapq.heappop(queue)
        error = error_of(here.text)
        if error is None:
            if here.notes and not _returns_to_nobody(ast.parse(here.text)):
                yield Mend(here.text, "; ".join(here.notes), -lost)
            continue
        if len(here.notes) == STEPS:
            continue
        line = error.lineno or 0
        trust = 1.0 if line > here.line else NO_PROGRESS
        for step in _steps(here.text, error, tests):
            if step.text not in seen:
                seen.add(step.text)
                heapq.heappush(queue, (lost * trust * step.weight, next(numbers), here.then(step, line)))


def _returns_to_nobody(node: ast.AST) -> bool:
    """What parses may still be no program: a `return` outside any function."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return False
    return isinstance(node, ast.Return) or any(map(_returns_to_nobody, ast.iter_child_nodes(node)))


def _steps(text: str, error: SyntaxError, tests: Sequence[str]) -> Iterator[Mend]:
    lines = text.split("\n")
    at = min(max(error.lineno or 1, 1), len(lines)) - 1
    yield from _without_fences(lines)
    if isinstance(error, IndentationError):
        yield from _moved(lines, at, str(error.msg), tests)
    else:
        yield from _swapped(lines, at, str(error.msg), (error.offset or 1) - 1)
        yield from _signs(lines, at, error)
        yield from _left_out(lines, at, str(error.msg))


def _without_fences(lines: Sequence[str]) -> Iterator[Mend]:
    """Marks of a code block in markdown, which come with what is pasted."""
    kept = [line for line in lines if not line.lstrip().startswith("```")]
    if len(kept) < len(lines):
        yield Mend("\n".join(kept), "takes out the marks of a code block", 0.9)


def _moved(lines: Sequence[str], at: int, said: str, tests: Sequence[str]) -> Iterator[Mend]:
    if "tab" in said:
        spaced = "\n".join(lines)
        yield from (Mend(spaced.expandtabs(size), "turns tabs into spaces", 0.9) for size in (4, 8))
    here, above = _indent(lines[at]), _above(lines, at)
    block = range(at, _block_end(lines, at))
    if said.startswith("expected an indented block"):
        yield from _indented(lines, at, block, above)
        return
    if said.startswith("unexpected indent"):
        yield from _headed(lines, block, tests)
    for number, depth in enumerate(_depths(lines, at)):
        if depth != here:
            near = 0.6 * 0.7**number
            yield _shifted(lines, block, depth - here, "moves the block to its place", near)
            if len(block) > 1:
                yield _shifted(
                    lines, range(at, at + 1), depth - here, "moves a line to its place", 0.7 * near
                )


def _indented(lines: Sequence[str], at: int, block: range, above: int) -> Iterator[Mend]:
    """A header with nothing under it: the lines that follow are its body, or it has none yet."""
    deeper = above + 4 - _indent(lines[at])
    if deeper > 0 and lines[at].strip():
        yield _shifted(lines, range(at, at + 1), deeper, "indents the body", 0.6)
        for end in range(at + 2, block.stop + 1):
            yield _shifted(lines, range(at, end), deeper, "indents the body", 0.55)
    yield Mend("\n".join([*lines[:at], " " * (above + 4) + "pass", *lines[at:]]), "adds an empty body", 0.2)


def _headed(lines: Sequence[str], block: range, tests: Sequence[str]) -> Iterator[Mend]:
    """A body whose `def` is gone."""
    rest = "\n".join([*lines[: block.start], *lines[block.stop :]])
    for header in headers("\n".join(lines[block.start : block.stop]), rest, tests):
        # The empty line where the head may have stood is taken for it.
        start = block.start - (block.start > 0 and not lines[block.start - 1].strip())
        text = "\n".join([*lines[:start], header.text, *lines[block.start :]])
        yield Mend(text, f"adds `{header.text}`", header.weight)


def _swapped(lines: Sequence[str], at: int, said: str, column: int) -> Iterator[Mend]:
    """One sign in the place of another: the message names both."""
    line = lines[at]
    if "does not match" in said:
        for sign in _closing(said):
            new = line[:column] + sign + line[column + 1 :]
            yield _replaced(lines, at, new, f"closes with `{sign}`", 0.9)
    if "'=='" in said:
        new = re.sub(r"(?<![=!<>:])=(?!=)", "==", line, count=1)
        yield _replaced(lines, at, new, "compares with `==`", 0.9)


def _signs(lines: Sequence[str], at: int, error: SyntaxError) -> Iterator[Mend]:
    """One sign put in or one token taken out, nearest to where the parser gave up first."""
    said, column, reach = str(error.msg), (error.offset or 1) - 1, 2
    if any(word in said for word in ENDLESS):  # what was opened there is closed at the end, or further down
        column, reach = len(lines[at].rstrip()), 4
    wanted = {sign for sign in SIGNS if f"'{sign}'" in said} | set(_closing(said))
    for line in sorted(range(max(0, at - 1), min(len(lines), at + reach)), key=lambda one: abs(one - at)):
        end = len(lines[line].rstrip())
        tokens = (found.start() for found in _TOKEN.finditer(lines[line]))
        middle = column if line == at else end
        nearest = sorted(tokens, key=lambda place: abs(place - middle))[:NEAREST]
        for place in dict.fromkeys([*nearest, end]):
            off = abs(line - at) * 8 + (abs(place - column) if line == at else 0)
            near = 0.3 / (1 + off / 16) + (0.1 if place >= len(lines[line].rstrip(" :,)]}")) else 0.0)
            for sign in SIGNS:
                likely = near * (1.8 if sign in wanted else 0.7)
                new = lines[line][:place] + sign + lines[line][place:]
                yield _replaced(lines, line, new, f"adds `{sign}`", likely)
            if token := _TOKEN.match(lines[line], place):
                new = lines[line][:place] + lines[line][token.end() :]
                said_of = f"takes out `{token[0]}`" if token[0].strip() else "closes a gap"
                yield _replaced(lines, line, new, said_of, 0.6 * near)


def _left_out(lines: Sequence[str], at: int, said: str) -> Iterator[Mend]:
    """A text that breaks off, or a line that is no Python: what a last resort leaves of it."""
    without = [*lines[:at], *lines[at + 1 :]]
    yield Mend("\n".join(without), f"takes out line {at + 1}", 0.06)
    if any(word in said for word in ENDLESS):
        yield Mend("\n".join([*lines[:at], ""]), f"ends before line {at + 1}, which breaks off", 0.05)


def _closing(said: str) -> Iterator[str]:
    pairs = {"(": ")", "[": "]", "{": "}"}
    opened = re.search(r"(?:opening parenthesis |^)'([(\[{])'", said)
    if opened:
        yield pairs[opened[1]]
    if "unterminated" in said:
        yield from ('"', "'")


def _depths(lines: Sequence[str], at: int) -> list[int]:
    """Indentations that a line may have: that of the line above, and those of the blocks around it."""
    found: dict[int, None] = {}
    least = 1_000_000
    for line in reversed(lines[:at]):
        if line.strip() and _indent(line) < least:
            least = _indent(line)
            if line.rstrip().endswith(":"):
                found.setdefault(least + 4)
            found.setdefault(least)
    return list(found) or [0]


def _above(lines: Sequence[str], at: int) -> int:
    return next((_indent(line) for line in reversed(lines[:at]) if line.strip()), 0)


def _block_end(lines: Sequence[str], at: int) -> int:
    """Behind the last line that is as deep as the one at `at`, or deeper."""
    depth, end = _indent(lines[at]), at + 1
    for number in range(at + 1, len(lines)):
        if lines[number].strip():
            if _indent(lines[number]) < depth:
                break
            end = number + 1
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _shifted(lines: Sequence[str], block: range, by: int, note: str, weight: float) -> Mend:
    def moved(line: str) -> str:
        return " " * max(0, _indent(line) + by) + line.lstrip() if line.strip() else line

    new = [moved(line) if number in block else line for number, line in enumerate(lines)]
    return Mend("\n".join(new), note, weight)


def _replaced(lines: Sequence[str], at: int, new: str, note: str, weight: float) -> Mend:
    return Mend("\n".join([*lines[:at], new, *lines[at + 1 :]]), note, min(0.9, weight))
