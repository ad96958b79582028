"""A small data set of each shape, invented here, with a canary in everything that only the judge may see."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

Row = Mapping[str, Any]

CANARY = "canary_4711"
"""Stands in every hidden test: wherever it turns up, hidden tests have leaked."""

LARGEST = '''\
def largest(numbers):
    """The largest of some numbers."""
    best = numbers[0]
    for number in numbers:
        if number > best:
            best = number
    return best
'''
VOWELS = '''\
def vowels(text):
    """How many vowels there are."""
    count = 0
    for letter in text:
        if letter in "aeiou":
            count += 1
    return count
'''
LAST = '''\
def last(items):
    """The last item."""
    return items[len(items) - 1]
'''


def human_eval(number: int, right: str, change: tuple[str, str], visible: str, more: str) -> Row:
    """A HumanEvalPack row whose wrong program differs from the right one by one change."""
    head, body = right.split('"""\n', 1)
    name = right[len("def ") : right.index("(")]
    check = f"def check({name}):\n    {{}}\ncheck({name})\n"
    return {
        "task_id": f"Made/{number}",
        "prompt": f'{head}"""\n',
        "buggy_solution": body.replace(*change),
        "canonical_solution": body,
        "entry_point": name,
        "example_test": check.format(visible),
        "test": check.format(f"{CANARY} = 1\n    {visible}\n    {more}"),
    }


ROWS: Sequence[Row] = (
    human_eval(
        1,
        LARGEST,
        ("number > best", "number < best"),
        "assert largest([1, 5, 2]) == 5",
        "assert largest([-3, -1, -2]) == -1",
    ),
    human_eval(
        2, VOWELS, ("count = 0", "count = 1"), "assert vowels('banana') == 3", "assert vowels('') == 0"
    ),
    human_eval(3, LAST, (" - 1", ""), "assert last([4, 6]) == 6", "assert last('xyz') == 'z'"),
)

_AREA = """\
def check(candidate):
    {canary} = 1
    assert area(3, 4) == 12
    assert area(5, 6) == 30
check(area)
"""
MBPP: Sequence[Row] = (
    {
        "task_id": "Made/9",
        "author": "somebody",
        "entry_point": "area",
        "buggy": "def area(width, height):\n    return width + height\n",
        "given_tests": ["assert area(3, 4) == 12"],
        "test": _AREA.format(canary=CANARY),
        "canonical_solution": "def area(width, height):\n    return width * height\n",
    },
)

_REPEAT = """\
def f(text, n):
    parts = []
    for letter in text:
        parts.append(letter * n)
    return ''.join(parts)
"""
_TOTAL = """\
def f(numbers):
    total = 0
    for number in numbers:
        total += number
    return total
"""
CRUX: Sequence[Row] = (
    {"id": "made_0", "code": _REPEAT, "input": "'abc', 2", "output": "'aabbcc'"},
    {"id": "made_1", "code": _TOTAL, "input": "[1, 2, 3]", "output": "6"},
)


def write(folder: Path, rows: Sequence[Row], name: str = "items.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def program(row: Row, solution: str = "canonical_solution") -> str:
    return str(row["prompt"] + row[solution])


def answer(text: str) -> str:
    """As a model writes a program."""
    return dedent(f"Here it is:\n```python\n{text}```\n")
