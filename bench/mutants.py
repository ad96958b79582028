"""Repair inside real projects: bugs are seeded into packages, whose own tests find them and judge the repair.

    python -m bench.mutants [-n 50] [--seed 0] [--budget 120] [--no-model] [--packages toolz,more-itertools]
                            [--jsonl FILE] [--for SECONDS]

The packages come from their source distributions. A bug is one statement changed (see `seeding.py`); it
counts when a test of the module's own tests fails by it. The repair works in a copy of the project. It
counts as right when the package's whole test suite passes with it, run by plain pytest afterwards.

`--jsonl` keeps what was done, and the same command goes on there; `--for` stops a long run by itself.
The bugs take turns among the files, so what was done until then is spread over them.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from statistics import median

from attrs import asdict, evolve, frozen

from backtrail_model.client import ModelClient, NoHost, connect
from backtrail_model.evidence import endless
from backtrail_model.repair import Fix, prepare, repair, standard
from backtrail_model.study.machine import describe
from backtrail_probe.wire import ProcessLimits
from backtrail_tracer.entries import Entry, NoEntry, discover
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.session import Session
from backtrail_tracer.verify import Verifier
from bench.seeding import Bug, bugs

PACKAGES = {
    "toolz": ("toolz==1.0.0", ("toolz/itertoolz.py", "toolz/dicttoolz.py", "toolz/functoolz.py")),
    "more-itertools": ("more-itertools==10.5.0", ("more_itertools/recipes.py",)),
}
LIMITS = ProcessLimits(wall_s=120.0, cpu_s=100.0)
SUITE_S = 300.0


@frozen
class Result:
    package: str
    file: str
    line: int
    kind: str
    bug: str
    first_s: float | None = None
    seconds: float = 0.0
    tried: int = 0
    proposer: str = ""
    title: str = ""
    edit: str = ""
    right: bool = False  # the whole suite passes
    same: bool = False  # and the program is what it was

    @property
    def key(self) -> tuple[object, ...]:
        return self.package, self.file, self.line, self.bug


def fetch(requirement: str, folder: Path) -> Path:
    """The unpacked source distribution. Raises CalledProcessError when it cannot be had."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    subprocess.run([*pip, "--no-deps", "--no-binary", ":all:", "--dest", folder, requirement], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    archive.unlink()
    (root,) = folder.iterdir()
    return root.resolve()


def session_in(root: Path) -> Session:
    # Only pytest itself: plugins of the bench's environment are none of the packages' business.
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return Session(Interpreter(Path(sys.executable), "the bench's own"), root, environ=environ)


def entry_of(path: Path, root: Path) -> Entry:
    entries = discover(path, root)
    if isinstance(entries, NoEntry):
        raise SystemExit(f"{path}: {entries.reason}")
    return entries[0]


async def seeded(root: Path, file: str, seed: int, most: int) -> list[Bug]:
    """The first `most` bugs of a file that its tests find, each tried in a fork."""
    path, found = root / file, []
    entry = entry_of(path, root)
    async with Verifier(session_in(root), entry) as verifier:
        well = await verifier.verify({path: path.read_text(encoding="utf-8")}, wall_s=120)
        if not well.passed:
            raise SystemExit(f"{file}: its tests do not pass as it is: {well.summary}")
        for bug in bugs(path, seed):
            limit = 1.0 + 4 * well.cpu_s
            verdict = await verifier.verify({path: bug.text}, wall_s=10 * limit, cpu_s=limit, stop_first=True)
            if not verdict.passed and verdict.items and verdict.status != "timeout":
                found.append(bug)
            if len(found) == most:
                break
    return found


def _blank(package: str, file: str, bug: Bug) -> Result:
    return Result(package, file, bug.line, bug.kind, f"{bug.before} → {bug.after}"[:120])


async def attempt(
    package: str, root: Path, file: str, bug: Bug, client: ModelClient | None, options: argparse.Namespace
) -> Result:
    result = _blank(package, file, bug)
    path = root / file
    right = path.read_text(encoding="utf-8")
    path.write_text(bug.text, encoding="utf-8")
    try:
        return await _repaired(result, root, path, client, options, right)
    finally:
        path.write_text(right, encoding="utf-8")


async def _repaired(
    result: Result,
    root: Path,
    path: Path,
    client: ModelClient | None,
    options: argparse.Namespace,
    right: str,
) -> Result:
    session, entry = session_in(root), entry_of(path, root)
    began = time.monotonic()
    trace = (await session.run(entry, process_limits=LIMITS)).trace
    failure = next(iter(trace.failures), None) or endless(trace)
    if failure is None:
        return evolve(result, title=f"no failure: {trace.status} {trace.message}")
    context = prepare(trace, failure, lambda p: p.read_text(encoding="utf-8"), seed=options.seed)
    fixes: list[Fix] = []
    left = max(1.0, options.budget - (time.monotonic() - began))
    async with (
        Verifier(session, entry) as verifier,
        aclosing(repair(context, standard(client), verifier, budget_s=left)) as found,
    ):
        fixes += [fix async for fix in found]
    result = evolve(result, seconds=time.monotonic() - began, tried=len(context.attempts.tried))
    if not fixes:
        return evolve(result, title="nothing found")
    best = fixes[-1].candidate
    best.path.write_text(best.text, encoding="utf-8")
    return evolve(
        result,
        first_s=fixes[0].seconds,
        proposer=best.proposer,
        title=fixes[-1].title,
        edit=" ".join(f"{best.replaced.strip()} → {best.replacement.strip()}".split())[:100],
        right=suite_passes(root),
        same=ast.dump(ast.parse(path.read_text(encoding="utf-8"))) == ast.dump(ast.parse(right)),
    )


def suite_passes(root: Path) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    try:
        done = subprocess.run(
            command, cwd=root, env=environ, timeout=SUITE_S, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


async def chosen(roots: dict[str, Path], options: argparse.Namespace) -> list[tuple[str, str, Bug]]:
    """`n` bugs, in turns from each file, so that no file has them all."""
    files = [(package, file) for package in roots for file in PACKAGES[package][1]]
    queues: list[Iterator[tuple[str, str, Bug]]] = []
    for package, file in files:
        found = await seeded(roots[package], file, options.seed, -(-options.n // len(files)))
        queues.append(iter([(package, file, bug) for bug in found]))
    taken: list[tuple[str, str, Bug]] = []
    while queues and len(taken) < options.n:
        for queue in list(queues):
            bug = next(queue, None)
            if bug is None:
                queues.remove(queue)
            elif len(taken) < options.n:
                taken.append(bug)
    return taken


def report(results: Sequence[Result], budget: float) -> str:
    found = [one for one in results if one.first_s is not None]
    right = [one for one in found if one.right]
    times = [one.first_s for one in found if one.first_s is not None]
    return "\n".join(
        [
            f"| {len(results)} bugs, {budget:g} s each, the traced run included | |",
            "|---|---|",
            f"| repaired: the package's whole suite passes | {len(right)}/{len(results)} |",
            f"| of these, the very program that it was | {sum(one.same for one in right)} |",
            f"| offered, but the whole suite fails | {len(found) - len(right)}/{len(found)} |",
            f"| median seconds to the first fix | {median(times):.1f} |" if times else "| no fix | |",
        ]
    )


async def main(options: argparse.Namespace) -> None:
    print(describe("pytest"), "\n")
    client = None if options.no_model else connect(options.url, options.token)
    if isinstance(client, NoHost):
        print(f"{client.reason}; {client.advice}. Mutations only.")
        client = None
    with tempfile.TemporaryDirectory() as name:
        roots = {}
        for package in options.packages:
            folder = Path(name).resolve() / package
            folder.mkdir()
            roots[package] = fetch(PACKAGES[package][0], folder)
        results = _kept(options.jsonl)
        done = {one.key for one in results}
        began = time.monotonic()
        for package, file, bug in await chosen(roots, options):
            if _blank(package, file, bug).key in done:
                continue
            if options.seconds is not None and time.monotonic() - began > options.seconds:
                print("\nStopped: run the same command again to go on.")
                break
            result = await attempt(package, roots[package], file, bug, client, options)
            results.append(result)
            first = "-" if result.first_s is None else f"{result.first_s:.1f} s"
            print(
                f"{file}:{bug.line} {bug.kind}: {result.bug}\n    right {result.right}, first {first}, "
                f"{result.tried} run, {result.title}: {result.edit}",
                flush=True,
            )
            if options.jsonl:
                with options.jsonl.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(asdict(result)) + "\n")
    print("\n" + report(results, options.budget))
    if client is not None:
        await client.aclose()


def _kept(file: Path | None) -> list[Result]:
    """What earlier runs of the same command did."""
    if file is None or not file.is_file():
        return []
    return [Result(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=float, default=120.0, help="seconds a bug")
    parser.add_argument("--packages", type=lambda text: text.split(","), default=list(PACKAGES))
    parser.add_argument("--no-model", action="store_true")
    parser.add_argument("--url")
    parser.add_argument("--token")
    parser.add_argument("--jsonl", type=Path, help="the records")
    parser.add_argument(
        "--for", dest="seconds", type=float, metavar="SECONDS", help="then stop, to go on later"
    )
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
