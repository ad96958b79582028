"""How often the slice of a failure holds the line that is wrong, and how much it keeps. No model.

    python -m bench.slices DATA.jsonl [DATA.jsonl ...] [-n 100] [--jsonl OUT]

DATA is HumanEvalPack-shaped (`prompt`, `buggy_solution`, `canonical_solution`, `example_test`) or
MBPP-repair-shaped (`buggy`, `canonical_solution`, `given_tests`). The visible tests are run under the
tracer, and their first failure is sliced. The lines that the reference fix changes are found by comparing
the statements of both programs, not their layout. Judged are the items in which the fix replaces or
removes exactly one statement; whole other programs, and statements that are missing, are counted apart.

What is kept is told against three wholes, since a small function is nearly all slice: the lines that the
run executed, as a coverage tool counts them (tests, definitions and imports are among them); those that
the failing test executed; and of these only the ones inside the functions under test.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from statistics import median
from typing import Any

from attrs import asdict, frozen

from backtrail_model.evidence import endless, gather_from
from backtrail_model.study.machine import describe
from backtrail_probe.wire import ProcessLimits
from backtrail_tracer import statements
from backtrail_tracer.entries import NoEntry, discover
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.session import Session
from backtrail_tracer.slicing import History, slice_failure
from backtrail_tracer.statements import FUNCTIONS, Statement
from backtrail_tracer.trace import Failure, Trace

WALL_S = 20
KINDS = {
    "several": "whose fix changes several statements",
    "missing": "whose fix only adds statements",
    "same": "whose fix changes no statement",
}
Place = tuple[Path, int]


@frozen
class Item:
    name: str
    source: str
    reference: str
    tests: tuple[str, ...]  # the visible assertions

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Item:
        if "buggy" in row:
            source, reference, tests = row["buggy"], row["canonical_solution"], "\n".join(row["given_tests"])
        else:
            source = row["prompt"] + row["buggy_solution"]
            reference, tests = row["prompt"] + row["canonical_solution"], row["example_test"]
        tree = ast.parse(textwrap.dedent(tests.strip("\n")))
        asserted = (ast.unparse(node.test) for node in ast.walk(tree) if isinstance(node, ast.Assert))
        return cls(row["task_id"], source, reference, tuple(asserted))

    def write(self, folder: Path) -> Path:
        (folder / "solution.py").write_text(self.source, encoding="utf-8")
        tests = [f"def test_{i}():\n    assert {text}\n" for i, text in enumerate(self.tests)]
        (folder / "test_solution.py").write_text("\n\n".join(["from solution import *", *tests]), "utf-8")
        return folder / "solution.py"

    def wrong(self) -> tuple[str, frozenset[int]]:
        """The kind of the fix, and the lines of the statement that it replaces or removes."""
        old, new = _statements(self.source), _statements(self.reference)
        matcher = SequenceMatcher(
            None, [_key(one) for one in old], [_key(one) for one in new], autojunk=False
        )
        changes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
        changed = [one for _, first, last, _, _ in changes for one in old[first:last]]
        if not changed:
            return ("missing", frozenset()) if changes else ("same", frozenset())
        if len(changed) > 1 or len(changes) > 1:
            return "several", frozenset()
        return "single", frozenset(range(changed[0].line, changed[0].end_line + 1))


def _statements(text: str) -> list[Statement]:
    return [one for one in statements.parse(text) if not is_plain(one)]


def is_plain(statement: Statement) -> bool:
    """A definition, an import or a docstring."""
    node = statement.node
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or isinstance(node, (ast.Import, ast.ImportFrom, ast.ClassDef, *FUNCTIONS))


def _key(statement: Statement) -> tuple[str, str]:
    """The function it is in, and its own text: of a compound one the header."""
    parts = statements.header_parts(statement.node)
    return type(statement.node).__name__ + statement.function, " ".join(map(ast.unparse, parts))


@frozen
class Result:
    """Numbers of lines. `why` says why an item was not judged; it is empty when it was."""

    name: str
    data: str
    why: str = ""
    executed: int = 0  # by the whole run
    executed_in_test: int = 0
    executed_inside: int = 0
    kept: int = 0
    kept_inside: int = 0
    holds: bool = False
    told: int = 0  # inside, of which the facts of a prompt speak
    tells: bool = False


async def traced(item: Item) -> tuple[Trace, Path] | str:
    """The trace of the item's visible tests, or why there is none."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        path = item.write(folder)
        found = discover(path, folder)
        if isinstance(found, NoEntry):
            return f"no entry: {found.reason}"
        session = Session(Interpreter(Path(sys.executable), "this one"), folder)
        done = await session.run(found[0], process_limits=ProcessLimits(wall_s=WALL_S))
        return done.trace, path


def judge(item: Item, data: str, trace: Trace, path: Path) -> Result:
    kind, wrong = item.wrong()
    failure = next(iter(trace.failures), None) or endless(trace)
    if kind != "single" or failure is None:
        return Result(item.name, data, KINDS.get(kind, "no visible test fails"))
    history = History(trace, lambda one: trace.sources.get(one, ""))
    sliced = slice_failure(history, failure)
    run, test, inside = executed(history, failure, path)
    kept = set(sliced.distances(trace)) & run
    facts = gather_from(history, failure, sliced).facts
    told = {(fact.path, fact.line) for fact in facts} & inside
    places = {(path, line) for line in wrong}
    return Result(
        name=item.name,
        data=data,
        executed=len(run),
        executed_in_test=len(test),
        executed_inside=len(inside),
        kept=len(kept),
        kept_inside=len(kept & inside),
        holds=bool(places & kept),
        told=len(told),
        tells=bool(places & told),
    )


def executed(history: History, failure: Failure, path: Path) -> tuple[set[Place], set[Place], set[Place]]:
    """The lines that the run executed; that the failing test did; of these those of functions under test."""
    trace = history.trace
    run: set[Place] = set()
    test: set[Place] = set()
    inside: set[Place] = set()
    for hit in trace.hits:
        place, statement = (history.path(hit), hit.line), history.statement(hit)
        run.add(place)
        if trace.frames[hit.frame].item == failure.item:
            test.add(place)
            if place[0] == path and statement is not None and statement.function != "<module>":
                inside.add(place)
    return run, test, inside


def report(results: Iterable[Result]) -> str:
    by_data: dict[str, list[Result]] = {}
    for one in results:
        by_data.setdefault(one.data, []).append(one)
    parts = []
    for data, rows in by_data.items():
        judged = [one for one in rows if not one.why]
        skipped = Counter(one.why for one in rows if one.why)
        reasons = ", ".join(f"{count} {why}" for why, count in skipped.most_common())
        parts.append(f"\n{data}: {len(judged)} of {len(rows)} items judged ({reasons})\n\n{_table(judged)}")
    return "\n".join(parts)


def _table(judged: Sequence[Result]) -> str:
    rows = [
        ("slice holds the wrong line", _share(sum(one.holds for one in judged), len(judged))),
        ("kept, of all lines that the run executed", _of(judged, "kept", "executed")),
        ("kept, of the lines that the failing test executed", _of(judged, "kept", "executed_in_test")),
        ("kept, of those inside the functions under test", _of(judged, "kept_inside", "executed_inside")),
        ("facts of a prompt tell of the wrong line", _share(sum(one.tells for one in judged), len(judged))),
        ("told, of those inside the functions under test", _of(judged, "told", "executed_inside")),
        ("median lines executed inside the functions", str(_median(judged))),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _median(judged: Sequence[Result]) -> float:
    return median([one.executed_inside for one in judged]) if judged else 0


def _of(judged: Sequence[Result], part: str, whole: str) -> str:
    return _share(sum(getattr(one, part) for one in judged), sum(getattr(one, whole) for one in judged))


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} % ({part} of {whole})" if whole else "-"


async def main(options: argparse.Namespace) -> None:
    print(describe("pytest"), flush=True)
    results: list[Result] = []
    gate = asyncio.Semaphore(options.jobs)

    async def one(data: str, row: Mapping[str, Any]) -> None:
        async with gate:
            results.append(await _result(data, row))

    for path in options.data:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        step = max(1, len(rows) // options.n) if options.n else 1
        await asyncio.gather(*(one(path.stem, row) for row in rows[::step][: options.n or None]))
    if options.jsonl:
        lines = (json.dumps(asdict(result)) + "\n" for result in results)
        options.jsonl.write_text("".join(lines), encoding="utf-8")
    print(report(results))


async def _result(data: str, row: Mapping[str, Any]) -> Result:
    try:
        item = Item.of(row)
        kind, _ = item.wrong()
    except SyntaxError as error:
        return Result(row["task_id"], data, f"whose tests cannot be read ({type(error).__name__})")
    if kind != "single":
        return Result(item.name, data, KINDS[kind])
    found = await traced(item)
    if isinstance(found, str):
        return Result(item.name, data, found)
    return judge(item, data, *found)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("-n", type=int, default=0, help="this many items of each file, evenly spread (all)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    parser.add_argument("--jsonl", type=Path, help="write the result of each item there")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
