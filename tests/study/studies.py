"""Runs a whole study in this process against a scripted host."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from backtrail_model.study import readers
from backtrail_model.study.conditions import CONTROLS, Condition, Control, Scaling, conditions
from backtrail_model.study.records import Cell, Records
from backtrail_model.study.replay import interpreter
from backtrail_model.study.study import Address, Plan, Study
from backtrail_model.study.tasks import Kind
from tests.scripted_host import ScriptedHost
from tests.study import data

MANIFEST = {"task": "repair", "data": [], "seed": 0, "budget_s": 4.0, "machine": "the tests'"}


def crossed(
    shown: Sequence[str],
    *scalings: str,
    kind: Kind = "repair",
    controls: Sequence[Control] = (),
    model: str = "scripted",
) -> tuple[Condition, ...]:
    ways = [Scaling.parse(text) for text in scalings]
    return conditions(kind, [model], shown, ways, controls)


async def study(
    folder: Path,
    host: ScriptedHost,
    planned: Sequence[Condition],
    rows: Sequence[data.Row] = data.ROWS,
    *,
    resume: bool = False,
    budget_s: float = 4.0,
    kind: Kind | None = None,
) -> Records:
    """The records of a study that has ended: of the items of a kind, or of each as it is."""
    items = readers.read(data.write(folder, rows))
    items = readers.choose(items, kind) if kind else items
    plan = Plan(items, tuple(planned), seed=0, budget_s=budget_s)
    with Records.open(folder / "out", MANIFEST, resume=resume) as records:
        await Study(plan, records, at(host), interpreter()).run()
    return records


def at(host: ScriptedHost):  # type: ignore[no-untyped-def]
    @asynccontextmanager
    async def address(_: str) -> AsyncIterator[Address]:
        yield Address(host.url, host.token)

    return address


def cell(records: Records, item: str, scaling: str, shown: str = "none", control: str = "") -> Cell:
    found = [
        one
        for one in records.cells.values()
        if (one.item, one.scaling, one.representation, one.control) == (item, scaling, shown, control)
    ]
    assert len(found) == 1, f"{len(found)} cells of {item}, {scaling}, {shown}"
    return found[0]


@contextmanager
def several(host: ScriptedHost, answers: Sequence[str]) -> Iterator[None]:
    """A host whose samples of one request differ."""
    handler = host._server.RequestHandlerClass
    plain = handler._answer  # type: ignore[attr-defined]

    def answer(self, body, choice):  # type: ignore[no-untyped-def]
        def other(index: int) -> dict[str, Any]:
            made = choice(index)
            key = "delta" if "delta" in made else "message"
            return {**made, key: {"role": "assistant", "content": answers[index % len(answers)]}}

        plain(self, body, other)

    handler._answer = answer  # type: ignore[attr-defined]
    yield


@contextmanager
def refusing(host: ScriptedHost, words: str) -> Iterator[None]:
    """A host that says of prompts with these words that they are too long."""
    handler = host._server.RequestHandlerClass
    plain = handler._answer  # type: ignore[attr-defined]

    def answer(self, body, choice):  # type: ignore[no-untyped-def]
        if words in json.dumps(body):
            self._json(400, {"error": {"message": "the prompt is too long", "param": "messages"}})
        else:
            plain(self, body, choice)

    handler._answer = answer  # type: ignore[attr-defined]
    yield


__all__ = ["CONTROLS", "at", "cell", "crossed", "refusing", "several", "study"]
