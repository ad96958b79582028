"""Where two recorded values differ first, in words."""

from __future__ import annotations

import ast
from typing import Any

from backtrail_tracer.trace import Value

LONGEST = 60


def difference(expected: Value | None, actual: Value | None) -> str:
    """For example `at [1]: expected 'b', got 'c'`; empty when it would only repeat the two values."""
    if expected is None or actual is None or expected.cut or actual.cut:
        return ""
    if expected.type != actual.type and expected.text == actual.text:
        return f"same text, but expected a {expected.type} and got a {actual.type}"
    try:
        left, right = ast.literal_eval(expected.text), ast.literal_eval(actual.text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ""
    found = _compare(left, right, "")
    return found if not found.startswith(": ") else ""


def _compare(left: Any, right: Any, path: str) -> str:
    """`PATH: what`, with an empty path at the top."""
    if type(left) is not type(right):
        return f"{_at(path)}: expected {_type(left)} {_short(left)}, got {_type(right)} {_short(right)}"
    if isinstance(left, dict) and left != right:
        return _compare_mappings(left, right, path)
    if isinstance(left, list | tuple) and left != right:
        return _compare_sequences(left, right, path)
    if isinstance(left, set) and left != right:
        parts = [("missing", left - right), ("too many", right - left)]
        return f"{_at(path)}: " + ", ".join(f"{word} {_short(what)}" for word, what in parts if what)
    if isinstance(left, str) and left != right and min(len(left), len(right)) > 8:
        return _compare_strings(left, right, path)
    return f"{_at(path)}: expected {_short(left)}, got {_short(right)}" if left != right else ""


def _compare_mappings(left: dict[Any, Any], right: dict[Any, Any], path: str) -> str:
    missing, extra = [k for k in left if k not in right], [k for k in right if k not in left]
    if missing or extra:
        parts = [("missing key", missing), ("key too many", extra)]
        return f"at {path or 'the top'}: " + ", ".join(f"{word} {_short(k[0])}" for word, k in parts if k)
    key = next(k for k in left if left[k] != right[k])
    return _compare(left[key], right[key], f"{path}[{key!r}]")


def _compare_sequences(left: Any, right: Any, path: str) -> str:
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            if len(left) == len(right) and sorted(map(repr, left)) == sorted(map(repr, right)):
                return f"{_at(path) or 'at the top'}: the same items in another order, first at [{index}]"
            return _compare(one, other, f"{path}[{index}]")
    lengths = f"expected {len(left)} items, got {len(right)}"
    more, rest = (
        ("missing", left[len(right) :]) if len(left) > len(right) else ("too many", right[len(left) :])
    )
    return f"{_at(path) or 'at the top'}: {lengths}; {more}: {_short(rest)}"


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
