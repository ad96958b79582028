"""The judge: runs the hidden tests of an item, in a folder of its own that no solver is told of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from attrs import define, field

from backtrail_model.study.replay import MODULE, Unusable, project
from backtrail_model.study.tasks import Item
from backtrail_tracer.entries import NoEntry, discover
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.verify import Verifier

WALL_S = 20.0

_TEST = """\
import {module}

HIDDEN = {hidden!r}


def test_hidden():
    exec(compile(HIDDEN, "hidden", "exec"), dict(vars({module})))
"""


class Judge(Protocol):
    """Whether a program passes the hidden tests."""

    async def __call__(self, program: str) -> bool: ...


@define
class _Hidden:
    verifier: Verifier
    path: Path
    _known: dict[str, bool] = field(factory=dict)

    async def __call__(self, program: str) -> bool:
        if program not in self._known:
            overlay: Mapping[Path, str] = {self.path: program}
            self._known[program] = (await self.verifier.verify(overlay, wall_s=WALL_S)).passed
        return self._known[program]


@asynccontextmanager
async def judging(item: Item, python: Interpreter) -> AsyncIterator[Judge]:
    """A judge of programs for one item. Raises RuntimeError when its tests cannot be run at all."""
    test = _TEST.format(module=MODULE, hidden=_script(item))
    files = {f"{MODULE}.py": item.task.source, f"test_{MODULE}.py": test}
    with project(files, python) as (session, folder):
        path = folder / f"{MODULE}.py"
        entries = discover(path, folder)
        if isinstance(entries, NoEntry):
            raise RuntimeError(entries.reason)
        async with Verifier(session, entries[0]) as verifier:
            yield _Hidden(verifier, path)


async def check(item: Item, judge: Judge) -> Unusable | None:
    """Whether the hidden tests can tell right from wrong here: the given program must fail, the reference
    (where there is one) must pass. The program of an `output` item must return what the data says."""
    right = await judge(item.task.source)
    if item.task.kind == "output":
        return None if right else Unusable("the call does not return here what the data says")
    if right:
        return Unusable("the program to repair passes its hidden tests")
    if item.secret.reference and not await judge(item.secret.reference):
        return Unusable("the reference fails its own hidden tests here")
    return None


def _script(item: Item) -> str:
    if item.task.kind == "output":
        return f"assert {item.task.call} == {item.secret.hidden}"
    return item.secret.hidden
