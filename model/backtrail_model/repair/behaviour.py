"""What candidates do on inputs that no test has: by that they agree or differ.

The function that changed is called with the recorded arguments and with small variations of them. Two
programs whose results are the same on all of these count as one behaviour, and a behaviour that several
independent proposals arrive at is more likely to be meant (the idea of CodeT, Chen et al. 2022, without
generated tests). The examples in the function's docstring are looked at too.
"""

from __future__ import annotations

import ast
import doctest
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from backtrail_model import prompts
from backtrail_model.repair.candidates import Candidate
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.verdicts import Observer
from backtrail_tracer.statements import FUNCTIONS

MOST_RECORDED = 8
MOST_INPUTS = 40
MOST_TRIES = 160
WALL_S = 6.0
CPU_S = 1.0
_MARK = "behaviour:"

Arguments = dict[str, Any]


@frozen
class Behaviour:
    """`outcomes` has a short digest for each input; `examples` how many of the docstring's hold."""

    outcomes: tuple[str, ...]
    examples: int = 0


@frozen
class Subject:
    """The function that is watched, and what it is called with."""

    path: Path
    name: str  # qualified; a plain function, or a method that needs no object of its own
    inputs: tuple[Arguments, ...] = field(repr=False)
    examples: tuple[tuple[str, str], ...] = ()  # (expression, what the docstring says it prints)


def subject_of(context: RepairContext, candidate: Candidate) -> Subject | None:
    """The module-level function that a candidate changes; None when there is none that can be called."""
    original = context.originals[candidate.path]
    line = original.source.line_of(candidate.start)
    for node in original.source.tree.body:
        if isinstance(node, FUNCTIONS) and node.lineno <= line <= (node.end_lineno or line):
            inputs = tuple(_inputs(context, candidate.path, node.name))
            examples = tuple(_examples(node))
            return Subject(candidate.path, node.name, inputs, examples) if inputs or examples else None
    return None


async def observe(observer: Observer, subject: Subject, candidate: Candidate) -> Behaviour | None:
    """Runs it; None when it did not end, or nothing could be called."""
    settings = {
        "path": str(subject.path),
        "name": subject.name,
        "inputs": [repr(each) for each in subject.inputs],
        "examples": list(subject.examples),
        "mark": _MARK,
    }
    script = prompts.script("observe").replace("SETTINGS", repr(json.dumps(settings)), 1)
    overlay = {candidate.path: candidate.text}
    verdict = await observer.observe(script, overlay, wall_s=WALL_S, cpu_s=CPU_S)
    for failure in verdict.failures:
        _, mark, text = failure.message.partition(_MARK)
        if mark:
            outcomes, _, held = text.partition("/")
            return Behaviour(tuple(outcomes.split()), int(held) if held.strip().isdigit() else 0)
    return None


def _examples(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, str]]:
    try:
        found = doctest.DocTestParser().get_examples(ast.get_docstring(node) or "")
    except ValueError:
        return
    for example in found[:MOST_RECORDED]:
        if example.want and not example.exc_msg:
            yield example.source.strip(), example.want.strip()


def _inputs(context: RepairContext, path: Path, name: str) -> Iterator[Arguments]:
    """The recorded calls first, then variations of each, the same for the same seed."""
    recorded: dict[str, Arguments] = {}
    for frame in context.trace.frames.values():
        if frame.code.path == path and frame.code.name == name and len(recorded) < MOST_RECORDED:
            arguments = _literal(frame.arguments)
            if arguments is not None:
                recorded.setdefault(repr(arguments), arguments)
    chance = random.Random(context.seed)  # noqa: S311 - variety, not secrecy
    varied = dict(recorded)
    for number in range(MOST_TRIES if recorded else 0):
        # From the recorded ones, and from what was made of them already.
        bases = list(recorded.values()) if number % 2 else list(varied.values())
        other = _varied(chance.choice(bases), chance)
        if len(varied) < MOST_INPUTS:
            varied.setdefault(repr(other), other)
    yield from varied.values()


def _literal(arguments: Any) -> Arguments | None:
    """The arguments as values, when all of them are whole and plain."""
    found: Arguments = {}
    for name, value in arguments.items():
        if value.cut or value.redacted or not name.isidentifier():
            return None
        try:
            found[name] = ast.literal_eval(value.text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return found


def _varied(arguments: Arguments, chance: random.Random) -> Arguments:
    """One argument, or now and then all of them, a little different."""
    if not arguments:
        return arguments
    names = [chance.choice(list(arguments))] if chance.random() < 0.7 else list(arguments)
    return {name: _vary(value, chance) if name in names else value for name, value in arguments.items()}


def _vary(value: Any, chance: random.Random, depth: int = 0) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return chance.choice(
            [value + 1, value - 1, value + 2, value * 2, value * 3 + 1, -value, 0, 1, value // 2]
        )
    if isinstance(value, float):
        return chance.choice([value + 1, value - 0.5, value * 2, -value, 0.0, round(value)])
    if isinstance(value, str):
        return _vary_text(value, chance)
    if isinstance(value, list | tuple) and depth < 3:
        return type(value)(_vary_items(list(value), chance, depth))
    if isinstance(value, dict) and value and depth < 3:
        key = chance.choice(list(value))
        return chance.choice(
            [
                {**value, key: _vary(value[key], chance, depth + 1)},
                {k: v for k, v in value.items() if k != key},
            ]
        )
    return value


def _vary_text(value: str, chance: random.Random) -> str:
    if not value:
        return chance.choice(["a", "ab", " "])
    at = chance.randrange(len(value))
    forms = [value[::-1], value + value[at], value[:at] + value[at + 1 :], value.swapcase(), value[at:], ""]
    return chance.choice([*forms, value * 2, value[:at] + chance.choice(value) + value[at + 1 :]])


def _vary_items(items: Sequence[Any], chance: random.Random, depth: int) -> list[Any]:
    """Tuples inside keep their length, since it is often part of what they are."""
    if not items:
        return []
    at = chance.randrange(len(items))
    changed = [*items[:at], _vary(items[at], chance, depth + 1), *items[at + 1 :]]
    if depth and isinstance(items, tuple):
        return changed
    shuffled = chance.sample(list(items), len(items))
    forms = [changed, changed, changed, list(items[::-1]), shuffled, [*items, items[at]]]
    return chance.choice([*forms, [*items[:at], *items[at + 1 :]]])
