"""Data files → items. The shape of a row is told by its fields, one JSON object a line.

* HumanEvalPack (Muennighoff et al. 2023, OctoPack): `prompt` + `buggy_solution`; `example_test` is visible,
  `test` hidden.
* MBPP seeds (Zhong et al. 2024, LDB): a program that a model wrote, `buggy` (or `solution`); `given_tests`
  are visible, `test` hidden.
* CRUXEval (Gu et al. 2024): `code` with a function `f`, `input`, `output`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from attrs import evolve

from backtrail_model.study.tasks import Item, Kind, Secret, Task
from backtrail_model.study.visible import NotReadable, visible_tests

Row = Mapping[str, Any]


class DataError(Exception):
    """A file that holds no items; the message says which line and why."""


def read(path: Path) -> tuple[Item, ...]:
    """The items of a file. Raises DataError for a line that is no item of a known shape."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    items = [_item(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not items:
        raise DataError(f"{path} is empty")
    return tuple(_with_own_ids(items))


def choose(
    items: Iterable[Item], kind: Kind, *, sample: int | None = None, seed: int = 0, limit: int | None = None
) -> tuple[Item, ...]:
    """The items of a kind: `sample` of them at random under `seed`, in the data's order, then `limit`.

    What can be repaired can be explained.
    """
    fitting = [item for item in items if item.task.kind == ("repair" if kind == "explain" else kind)]
    if sample is not None and sample < len(fitting):
        chosen = set(Random(seed).sample(range(len(fitting)), sample))  # noqa: S311 - no secret
        fitting = [item for place, item in enumerate(fitting) if place in chosen]
    return tuple(evolve(item, task=evolve(item.task, kind=kind)) for item in fitting[:limit])


def _item(path: Path, number: int, line: str) -> Item:
    where = f"{path.name}, line {number}"
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"{where} is not an object")
    for fields, make in _SHAPES.items():
        if all(isinstance(row.get(name), str | list) for name in fields):
            return make(row)
    shapes = "; ".join(" + ".join(fields) for fields in _SHAPES)
    raise DataError(f"{where} has none of the known shapes: {shapes}")


def _human_eval_pack(row: Row) -> Item:
    program, reference = row["prompt"] + row["buggy_solution"], row.get("canonical_solution", "")
    task = _repair(row, program, row["example_test"])
    return Item(task, Secret(row["test"], row["prompt"] + reference if reference else ""))


def _mbpp_seed(row: Row) -> Item:
    task = _repair(row, row["buggy"], "\n".join(row["given_tests"]))
    return Item(task, Secret(row["test"], row.get("canonical_solution", "")))


def _mbpp_raw(row: Row) -> Item:
    return _mbpp_seed({**row, "buggy": row["solution"]})


def _repair(row: Row, program: str, tests: str) -> Task:
    entry_point = str(row.get("entry_point", ""))
    author = f"@{row['author']}" if row.get("author") else ""
    try:
        visible = visible_tests(tests, entry_point)
    except NotReadable:
        visible = ()
    return Task(f"{row.get('task_id', '')}{author}", "repair", program, entry_point, visible)


def _crux_eval(row: Row) -> Item:
    call = f"f({row['input']})"
    return Item(Task(str(row.get("id", "")), "output", row["code"], "f", call=call), Secret(row["output"]))


_SHAPES: Mapping[tuple[str, ...], Callable[[Row], Item]] = {
    ("prompt", "buggy_solution", "example_test", "test"): _human_eval_pack,
    ("buggy", "given_tests", "test"): _mbpp_seed,
    ("solution", "given_tests", "test"): _mbpp_raw,
    ("code", "input", "output"): _crux_eval,
}


def _with_own_ids(items: Iterable[Item]) -> Iterator[Item]:
    """An item without an id, or with one that came before, gets a number: records are kept by id."""
    seen: Counter[str] = Counter()
    for place, item in enumerate(items, 1):
        id = item.id or f"line-{place}"
        seen[id] += 1
        task = item.task if id == item.id and seen[id] == 1 else _renamed(item.task, id, seen[id])
        yield Item(task, item.secret)


def _renamed(task: Task, id: str, count: int) -> Task:
    return evolve(task, id=id if count == 1 else f"{id}#{count}")
