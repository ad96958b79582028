"""Loops folded: of the many hits of a line those that tell something the others do not."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from backtrail_model.evidence.facts import Fact

MOST_TURNS = 2
"""Hits of one line, beside the first and the last, that are kept because something turned there."""

_ZERO = "zero"
_EMPTY = "empty"
_STARTS = (_ZERO, _EMPTY)


def fold(facts: Iterable[Fact]) -> tuple[list[Fact], list[Fact]]:
    """(kept, folded away). Of each line's hits the first, the last, and where something turned are kept.

    A turn is a hit at which, against the hit before, a branch went the other way, or a recorded value
    changed its sign, its type, whether it is empty, or the order of its items or of two numbers read
    together. Of one kind of turn only the first is kept.
    """
    by_line: dict[tuple[Path, int], list[Fact]] = {}
    for fact in facts:
        by_line.setdefault((fact.path, fact.line), []).append(fact)
    kept: list[Fact] = []
    folded: list[Fact] = []
    for hits in by_line.values():
        hits.sort(key=lambda fact: fact.order)
        telling = {fact.order for fact in (hits[0], hits[-1], *turns(hits))}
        kept += [fact for fact in hits if fact.order in telling]
        folded += [fact for fact in hits if fact.order not in telling]
    return kept, folded


def turns(hits: list[Fact]) -> list[Fact]:
    """The hits between the first and the last at which something turned, a kind of turn once each."""
    found: list[Fact] = []
    seen: set[tuple[str, str]] = set()
    kinds = [kind_of(fact) for fact in hits]
    for fact, (before, now) in zip(hits[1:], pairwise(kinds), strict=True):
        turned = {(trait, now[trait]) for trait in now if _turns(before.get(trait), now[trait])}
        if turned - seen and fact is not hits[-1] and len(found) < MOST_TURNS:
            found.append(fact)
        seen |= turned
    return found


def _turns(before: str | None, now: str) -> bool:
    """Sums start from zero and lists from nothing: that they leave it tells nothing, a return to it does."""
    return before is not None and before != now and before not in _STARTS


def kind_of(fact: Fact) -> Mapping[str, str]:
    """What can turn at a hit: trait -> how it is there."""
    kinds: dict[str, str] = {}
    if branch := _branch(fact.effect):
        kinds["branch"] = branch
    for name, texts in fact.values.items():
        kinds.update({f"{trait} of {name}": how for trait, how in traits_of(texts[-1])})
    kinds.update(_comparisons(fact.reads))
    return kinds


def _branch(effect: str) -> str:
    last = effect.rpartition(", ")[2]
    if last in ("taken", "not taken", "goes on", "ends"):
        return last
    return "raises" if effect.startswith("raises ") else ""


def traits_of(text: str) -> Iterator[tuple[str, str]]:
    """The type, sign, emptiness and order that a rendering shows; only a name when it is unreadable."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        yield "type", text.partition("(")[0] if text[:1].isalpha() else text[:1]
        return
    yield "type", type(value).__name__
    if isinstance(value, bool):
        yield "truth", str(value)
    elif isinstance(value, int | float):
        yield "sign", "negative" if value < 0 else _ZERO if value == 0 else "positive"
    elif isinstance(value, str | bytes | list | tuple | dict | set):
        yield "size", "some" if value else _EMPTY
        if isinstance(value, list | tuple) and len(value) > 1:
            yield "order", _order(value)


def _order(items: Any) -> str:
    try:
        if all(a <= b for a, b in pairwise(items)):
            return "ascending"
        return "descending" if all(a >= b for a, b in pairwise(items)) else "mixed"
    except TypeError:
        return "none"


def _comparisons(reads: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    numbers = [(name, number) for name, text in reads.items() if (number := _number(text)) is not None]
    for (one, a), (other, b) in pairwise(numbers):
        yield f"{one} and {other}", "<" if a < b else ">" if a > b else "="


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
