"""Where two recorded values differ, in words: a small structural diff."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import islice
from typing import Any

from backtrail_tracer.trace import Value

LONGEST = 60
MOST = 3
"""Places that are told; that there are more is said."""


def difference(expected: Value | None, actual: Value | None) -> str:
    """For example `at [1]: expected 'b', got 'c'; at [4]: expected 2, got 3`, at most three places.

    Empty when it would only repeat the two values, or when one of them was not recorded whole.
    """
    if expected is None or actual is None or expected.cut or actual.cut:
        return ""
    if expected.type != actual.type and expected.text == actual.text:
        return f"same text, but expected a {expected.type} and got a {actual.type}"
    try:
        left, right = ast.literal_eval(expected.text), ast.literal_eval(actual.text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return ""
    found = list(islice(_compare(left, right, ""), MOST + 1))
    if not found or found[0].startswith(": "):
        return ""
    return "; ".join([*found[:MOST], *(["and more"] if len(found) > MOST else [])])


def _compare(left: Any, right: Any, path: str) -> Iterator[str]:
    """`PATH: what` for each place, with an empty path at the top; nothing for equal values."""
    if type(left) is not type(right):
        yield f"{_at(path)}: expected {_type(left)} {_short(left)}, got {_type(right)} {_short(right)}"
    elif left == right:
        return
    elif isinstance(left, dict):
        yield from _compare_mappings(left, right, path)
    elif isinstance(left, list | tuple):
        yield from _compare_sequences(left, right, path)
    elif isinstance(left, set):
        parts = [("missing", left - right), ("too many", right - left)]
        yield f"{_at(path)}: " + ", ".join(f"{word} {_short(what)}" for word, what in parts if what)
    elif isinstance(left, str) and min(len(left), len(right)) > 8:
        yield _compare_strings(left, right, path)
    else:
        yield f"{_at(path)}: expected {_short(left)}, got {_short(right)}"


def _compare_mappings(left: dict[Any, Any], right: dict[Any, Any], path: str) -> Iterator[str]:
    missing, extra = [k for k in left if k not in right], [k for k in right if k not in left]
    if missing or extra:
        parts = [("missing key", missing), ("key too many", extra)]
        yield f"at {path or 'the top'}: " + ", ".join(f"{word} {_short(k[0])}" for word, k in parts if k)
    for key, value in left.items():
        if key in right:
            yield from _compare(value, right[key], f"{path}[{key!r}]")


def _compare_sequences(left: Any, right: Any, path: str) -> Iterator[str]:
    pairs = list(zip(left, right, strict=False))
    first = next((index for index, (one, other) in enumerate(pairs) if one != other), None)
    if first is not None and len(left) == len(right) and _same_items(left, right):
        yield f"{_at(path) or 'at the top'}: the same items in another order, first at [{first}]"
        return
    for index, (one, other) in enumerate(pairs):
        yield from _compare(one, other, f"{path}[{index}]")
    if len(left) != len(right):
        lengths = f"expected {len(left)} items, got {len(right)}"
        longer, word = (left, "missing") if len(left) > len(right) else (right, "too many")
        yield f"{_at(path) or 'at the top'}: {lengths}; {word}: {_short(longer[len(pairs) :])}"


def _same_items(left: Any, right: Any) -> bool:
    return sorted(map(repr, left)) == sorted(map(repr, right))


def _compare_strings(left: str, right: str, path: str) -> str:
    same = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), None)
    same = min(len(left), len(right)) if same is None else same
    near = slice(max(0, same - 6), same + 12)
    return f"{_at(path) or 'at the top'}: from character {same}: expected {left[near]!r}, got {right[near]!r}"


def _at(path: str) -> str:
    return f"at {path}" if path else ""


def _type(value: Any) -> str:
    return type(value).__name__


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
