"""What is learnt from: a wrong program, the facts of its failure, and the program that was right."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import asdict, frozen

from backtrail_model.evidence import DEFAULT
from backtrail_model.study.hidden import check, judging
from backtrail_model.study.replay import Unusable
from backtrail_model.study.solvers.asking import repair_messages
from backtrail_model.study.solvers.wording import Message
from backtrail_model.study.tasks import Item
from backtrail_model.study.workbench import at_work
from backtrail_tracer.interpreter import Interpreter


@frozen
class Triple:
    """`facts` as a representation wrote them. `origin` says where it is from, `id` which one it is."""

    id: str
    program: str
    facts: str
    fix: str
    origin: str

    @property
    def messages(self) -> list[Message]:
        """The question, as the study asks it."""
        return repair_messages(self.program, self.facts)

    @property
    def answer(self) -> str:
        return f"```python\n{self.fix.strip()}\n```"


async def of_item(
    item: Item, python: Interpreter, *, representation: str = DEFAULT, origin: str = ""
) -> Triple | Unusable:
    """The triple of a data set's item: its failure is replayed for the facts, its reference must be right."""
    if not item.secret.reference:
        return Unusable("it has no reference to learn from")
    async with at_work(item.task, python, 0) as work, judging(item, python) as judge:
        if isinstance(work, Unusable):
            return work
        reason = await check(item, judge)
        facts = str(work.facts(representation))
        return reason or Triple(item.id, item.task.source, facts, item.secret.reference, origin)


def read(path: Path) -> tuple[Triple, ...]:
    """The triples of a file, one JSON object a line; lines that are none are left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    return tuple(_triples(lines))


def _triples(lines: Iterable[str]) -> Iterator[Triple]:
    names = ("id", "program", "facts", "fix", "origin")
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and all(isinstance(row.get(name), str) for name in names):
            yield Triple(**{name: row[name] for name in names})


def as_line(triple: Triple) -> str:
    return json.dumps(asdict(triple), ensure_ascii=False) + "\n"
