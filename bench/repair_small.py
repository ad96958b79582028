"""Repair of single functions: how many are fixed, how soon, and whether hidden tests agree.

    python -m bench.repair_small DATA.jsonl [-n 10] [--proposers mutation,infill] [--seed 0] [--jsonl OUT]

DATA is HumanEvalPack-shaped (`prompt`, `buggy_solution`, `example_test`, `test`) or MBPP-repair-shaped
(`buggy`, `given_tests`, `test`). Only the visible tests are written into the project that is
repaired; the hidden `test` judges what was offered, in a process of its own.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from statistics import median
from typing import Any

from attrs import asdict, frozen

from backtrail_model.client import ModelClient, NoHost, connect
from backtrail_model.evidence import endless
from backtrail_model.repair import Fix, prepare, repair, standard
from backtrail_probe.wire import ProcessLimits
from backtrail_tracer.entries import NoEntry, discover
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.session import Session
from backtrail_tracer.verify import Verifier

HIDDEN_S = 20.0


@frozen
class Task:
    """One program to repair. `visible` are assertions; `hidden` is a script that is run after the program."""

    name: str
    source: str
    visible: tuple[str, ...]
    hidden: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Task:
        if "buggy" in row:
            source, visible = row["buggy"], "\n".join(row["given_tests"])
        else:
            source, visible = row["prompt"] + row["buggy_solution"], row["example_test"]
        tree = ast.parse(textwrap.dedent(visible.strip("\n")))
        found = (ast.unparse(node.test) for node in ast.walk(tree) if isinstance(node, ast.Assert))
        return cls(row["task_id"], source, tuple(found), row["test"])

    def write(self, folder: Path) -> Path:
        """The project: `solution.py`, and one test for each visible assertion."""
        (folder / "solution.py").write_text(self.source, encoding="utf-8")
        tests = [f"def test_{i}():\n    assert {text}\n" for i, text in enumerate(self.visible)]
        text = "\n\n".join(["from solution import *  # noqa", *tests])
        (folder / "test_solution.py").write_text(text, encoding="utf-8")
        return folder / "solution.py"


@frozen
class Result:
    name: str
    why: str  # what happened when there is no fix
    trace_s: float = 0.0
    first_s: float | None = None
    seconds: float = 0.0
    tried: int = 0
    proposer: str = ""
    first_right: bool | None = None
    right: bool | None = None
    edit: str = ""


async def attempt(task: Task, client: ModelClient | None, options: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        path = task.write(folder)
        session = Session(Interpreter(Path(sys.executable), "this one"), folder)
        entries = discover(path, folder)
        if isinstance(entries, NoEntry):
            return Result(task.name, f"no entry: {entries.reason}")
        began = time.monotonic()
        trace = (await session.run(entries[0], process_limits=ProcessLimits(wall_s=60, cpu_s=8))).trace
        trace_s = time.monotonic() - began
        failure = next(iter(trace.failures), None) or endless(trace)
        if failure is None:
            return Result(task.name, f"no failure to repair: {trace.status} {trace.message}", trace_s)
        context = prepare(trace, failure, lambda p: p.read_text(encoding="utf-8"), seed=options.seed)
        proposers = standard(client, only=options.proposers)
        fixes: list[Fix] = []
        began = time.monotonic()
        async with Verifier(session, entries[0]) as verifier:
            found = repair(context, proposers, verifier, budget_s=options.budget)
            async with aclosing(found) as running:
                fixes += [fix async for fix in running]
        if options.verbose:
            print("\n".join(f"      {line}" for line in context.attempts.skipped))
        return _result(task, trace_s, time.monotonic() - began, len(context.attempts.tried), fixes)


def _result(task: Task, trace_s: float, seconds: float, tried: int, fixes: Sequence[Fix]) -> Result:
    if not fixes:
        return Result(task.name, "nothing found", trace_s, None, seconds, tried)
    first, last = fixes[0], fixes[-1]
    edit = f"{last.candidate.replaced.strip()} → {last.candidate.replacement.strip()}"
    return Result(
        name=task.name,
        why="",
        trace_s=trace_s,
        first_s=first.seconds,
        seconds=seconds,
        tried=tried,
        proposer=last.proposer,
        first_right=judge(task, first.candidate.text),
        right=judge(task, last.candidate.text),
        edit=" ".join(edit.split())[:90],
    )


def judge(task: Task, text: str) -> bool:
    """Whether the hidden tests pass."""
    command = [sys.executable, "-I", "-c", f"{text}\n{task.hidden}"]
    try:
        return subprocess.run(command, timeout=HIDDEN_S, capture_output=True, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def report(results: Iterable[Result]) -> str:
    done = list(results)
    usable = [one for one in done if not one.why or one.why == "nothing found"]
    offered = [one for one in usable if one.first_s is not None]
    right = [one for one in offered if one.right]
    times = [one.first_s for one in offered if one.first_s is not None]
    rows = [
        ("items", f"{len(done)}, of which {len(usable)} have a failure to repair"),
        ("a verified fix was offered", f"{len(offered)}/{len(usable)}"),
        ("the hidden tests pass too", f"{len(right)}/{len(usable)}"),
        ("offered, but the hidden tests fail", f"{len(offered) - len(right)}/{len(offered)}"),
        ("first fix right at once", f"{sum(bool(one.first_right) for one in offered)}/{len(offered)}"),
        ("median seconds to the first verified fix", f"{median(times):.1f}" if times else "-"),
        ("median candidates run", f"{median([one.tried for one in usable]):.0f}" if usable else "-"),
        (
            "median seconds of the traced run",
            f"{median([one.trace_s for one in usable]):.2f}" if usable else "-",
        ),
    ]
    return "\n".join(f"{name:45} {value}" for name, value in rows)


async def main(options: argparse.Namespace) -> None:
    rows = [json.loads(line) for line in options.data.read_text(encoding="utf-8").splitlines()]
    step = max(1, len(rows) // options.n)
    client = None if options.no_model else connect(options.url, options.token)
    if isinstance(client, NoHost):
        print(f"{client.reason}; {client.advice}. Mutations only.")
        client = None
    results = []
    for row in rows[options.start :: step][: options.n]:
        result = await attempt(Task.of(row), client, options)
        results.append(result)
        first = f"{result.first_s:5.1f} s" if result.first_s is not None else "      -"
        print(
            f"{result.name:12} first {first}  {result.tried:4} run  right {result.right!s:5} "
            f"{result.proposer:11} {result.edit or result.why}",
            flush=True,
        )
        if options.jsonl:
            with options.jsonl.open("a", encoding="utf-8") as out:
                out.write(json.dumps(asdict(result)) + "\n")
    print("\n" + report(results))
    if client is not None:
        await client.aclose()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("-n", type=int, default=10, help="this many items, evenly spread")
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--budget", type=float, default=60.0, help="seconds an item")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--proposers", type=lambda text: text.split(","), default=[])
    parser.add_argument("--no-model", action="store_true")
    parser.add_argument("--url")
    parser.add_argument("--token")
    parser.add_argument("--jsonl", type=Path)
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
