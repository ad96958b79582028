"""The test suites of real packages, from their source distributions: plain pytest beside Backtrail.

Two questions in one run: has every test the same outcome traced and untraced, and what does tracing
cost with default caps. The distributions are fetched once and kept in a cache folder; each Python gets
an environment with pytest and what the suites need. Plain and traced runs take turns.

    python -m bench.suites [--python 3.13] [--rounds 3] [--no-guard] [NAME ...]

A test that starts a program, say a pager, is stopped by the guard: that is its task. `--no-guard` shows
that nothing else about the trace changes an outcome.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen
from platformdirs import user_cache_path
from tests import pythons

from backtrail_model.study.machine import describe
from backtrail_probe.wire import PYTEST, ProcessLimits, RunSpec
from backtrail_tracer.reader import read_bytes
from bench.recorder import launcher

OUTCOMES = Path(__file__).with_name("outcomes.py")
ROOMY = ProcessLimits(wall_s=900, cpu_s=900, output_bytes=1 << 30, processes=0)
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")


@frozen
class Suite:
    """`source` is where the package lies in its distribution; `needs` is installed for its tests."""

    name: str
    version: str
    source: str
    tests: tuple[str, ...]
    needs: tuple[str, ...] = ()
    args: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}"


SUITES = (
    Suite("toolz", "1.0.0", ".", ("toolz",)),
    Suite("more-itertools", "11.2.1", ".", ("tests",)),
    Suite("attrs", "26.1.0", "src", ("tests",), ("cloudpickle", "hypothesis")),
    Suite("click", "8.5.1", "src", ("tests",), ("click==8.5.1",)),  # its tests ask for its metadata
    Suite("jinja2", "3.1.6", "src", ("tests",), ("markupsafe", "trio")),
)


@frozen
class Ran:
    """One run of a suite: test -> outcome, wall and CPU seconds, and the end of its output."""

    outcomes: dict[str, str]
    wall: float
    cpu: float
    output: str


def fetch(suite: Suite, cache: Path) -> Path:
    """The archive of the source distribution, fetched unless it is there."""
    archive = cache / f"{suite.folder}.tar.gz"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        wanted = f"{suite.name}=={suite.version}"
        command = [*PIP, "download", "--no-binary", suite.name, "--no-deps", "--dest", str(cache), wanted]
        subprocess.run([sys.executable, *command], check=True)
    return archive


def unpack(suite: Suite, cache: Path, into: Path) -> Path:
    with tarfile.open(fetch(suite, cache)) as archive:
        archive.extractall(into, filter="data")
    return (into / suite.folder).resolve()


def environment(python: str, folder: Path, suites: Sequence[Suite]) -> str:
    """A virtual environment with pytest and what the suites need; returns its Python. The pip of this one
    installs, since not every Python brings one."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    own = str(folder / "bin" / "python")
    needs = sorted({need for suite in suites for need in suite.needs})
    subprocess.run([sys.executable, *PIP, "--python", own, "install", "pytest", *needs], check=True)
    return own


def plain(python: str, suite: Suite, root: Path, scratch: Path) -> Ran:
    told = scratch / "outcomes.json"
    options = ["-q", "-p", OUTCOMES.stem, "-p", "no:cacheprovider"]
    command = [python, "-m", "pytest", *options, *suite.args, *suite.tests]
    paths = [str(root / suite.source), str(OUTCOMES.parent)]
    more = {"OUTCOMES": str(told), "TMPDIR": str(scratch)}
    return _run(command, root, paths, more, lambda: json.loads(told.read_text()))


def traced(python: str, suite: Suite, root: Path, scratch: Path, guard: bool = True) -> Ran:
    log = scratch / "trace.log"
    log.unlink(missing_ok=True)
    spec = RunSpec(
        kind=PYTEST, target=list(suite.tests), args=list(suite.args), root=str(root), cwd=str(root),
        scratch=str(scratch), log=str(log), traced=[str(root)], process_limits=ROOMY, guard=guard,
    )  # fmt: skip
    file = scratch / "spec.json"
    file.write_text(spec.to_json())
    command = [python, str(launcher()), str(file)]
    paths = [str(root / suite.source)]
    return _run(command, root, paths, {"TMPDIR": str(scratch)}, lambda: outcomes_of(log))


def _run(command: list[str], cwd: Path, paths: list[str], more: dict[str, str], outcomes: object) -> Ran:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1", **more}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", timeout=900, check=False,
    )  # fmt: skip
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = outcomes()  # type: ignore[operator]
    if not found:
        raise SystemExit(f"{' '.join(command)} ran no tests:\n{done.stdout[-3000:]}")
    return Ran(found, wall, cpu, done.stdout[-3000:])


def outcomes_of(log: Path) -> dict[str, str]:
    """Test -> outcome, from a trace log."""
    lines = read_bytes(log).splitlines() if log.exists() else []
    records = [json.loads(line) for line in lines if line.startswith((b'["item"', b'["done"'))]
    names = {record[1]: record[2] for record in records if record[0] == "item"}
    return {names[record[1]]: record[2] for record in records if record[0] == "done"}


def different(before: Ran, after: Ran) -> dict[str, tuple[str, str]]:
    """Test -> its outcome untraced and traced, where they are not the same."""
    names = sorted({*before.outcomes, *after.outcomes})
    pairs = {name: (before.outcomes.get(name, "–"), after.outcomes.get(name, "–")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def compare(
    python: str, suite: Suite, top: Path, cache: Path, rounds: int, guard: bool
) -> tuple[list[Ran], list[Ran]]:
    scratch = top / f"{suite.name}-scratch"
    scratch.mkdir()
    root = unpack(suite, cache, top)
    runs: tuple[list[Ran], list[Ran]] = ([], [])
    for _ in range(rounds):
        runs[0].append(plain(python, suite, root, scratch))
        runs[1].append(traced(python, suite, root, scratch, guard))
    return runs


def row(version: str, suite: Suite, before: list[Ran], after: list[Ran]) -> tuple[str, float, float]:
    """A line of the table, and the medians of CPU seconds."""
    pairs = [each for one, other in zip(before, after, strict=True) for each in different(one, other).items()]
    apart = dict(pairs)
    stopped = sum(pair[1] == "stopped" for pair in apart.values())
    cpu = [statistics.median(ran.cpu for ran in runs) for runs in (before, after)]
    wall = [statistics.median(ran.wall for ran in runs) for runs in (before, after)]
    for name, pair in list(apart.items())[:20]:
        print(f"    {name}: {pair[0]} untraced, {pair[1]} traced", file=sys.stderr)
    cells = [
        version, f"{suite.name} {suite.version}", f"{len(before[0].outcomes):,}", str(len(apart) - stopped),
        str(stopped), *(f"{seconds:.1f} s" for seconds in (*wall, *cpu)), f"**{cpu[1] / cpu[0]:.2f}×**",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |", cpu[0], cpu[1]


def measure(
    version: str, python: str, suites: Sequence[Suite], rounds: int, cache: Path, guard: bool
) -> None:
    totals = [0.0, 0.0]
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary).resolve()
        own = environment(python, top / "environment", suites)
        for suite in suites:
            line, *seconds = row(version, suite, *compare(own, suite, top, cache, rounds, guard))
            totals = [total + each for total, each in zip(totals, seconds, strict=True)]
            print(line, flush=True)
    ratio = f"{totals[0]:.1f} s | {totals[1]:.1f} s | **{totals[1] / totals[0]:.2f}×**"
    print(f"| {version} | all | | | | | | {ratio} |", flush=True)


def main(arguments: Sequence[str] = ()) -> int:
    parser = argparse.ArgumentParser(prog="bench.suites")
    parser.add_argument("--python", action="append", help="a version; by default 3.11 and the newest")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-guard", action="store_true", help="let the tests write and start programs")
    parser.add_argument("names", nargs="*", help="suites; by default all")
    asked = parser.parse_args(arguments)
    found = {".".join(map(str, version)): path for version, path in pythons.found().items()}
    versions = asked.python or [
        version for version, path in found.items() if path in (pythons.settrace(), pythons.newest())
    ]
    suites = [suite for suite in SUITES if not asked.names or suite.name in asked.names]
    print(describe("backtrail"))
    print(f"Medians of {asked.rounds} runs in turns; user and system time of the process and its children.\n")
    print("| Python | suite | tests | other outcome | stopped by the guard ", end="")
    print("| wall, plain | wall, traced | CPU, plain | CPU, traced | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for version in versions:
        cache = user_cache_path("backtrail") / "bench"
        measure(version, found[version], suites, asked.rounds, cache, not asked.no_guard)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
