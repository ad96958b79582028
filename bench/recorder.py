"""What recording costs: plain, Backtrail with its default caps and with none, and PySnooper, side by side.

Every figure is from a process of its own, since a second run in one process would find every cap
reached; the configurations take turns, so that a slow moment of the machine meets all of them. The
workload times itself from inside. What starting a run costs is measured apart, from outside.

    python -m bench.recorder [PART ...]      costs, peers, starts: only these tables
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen
from tests import pythons

from backtrail_model.study.machine import describe
from backtrail_probe.wire import SCRIPT, ProcessLimits, RecordLimits, RunSpec
from backtrail_tracer.reader import read_bytes
from bench.starting import HEAD, STARTS, start_cost

HERE = Path(__file__).parent
TIMED = HERE / "timed.py"
# Fewer where one takes seconds.
ROUNDS = {"plain": 15, "capped": 15, "uncapped": 10, "snooper": 2, "peers": 4}

NO_CAPS = RecordLimits(hits_per_line=0, calls_per_function=0, events=0, log_bytes=1024 * 1024 * 1024, depth=0)
ROOMY = ProcessLimits(wall_s=120, cpu_s=120, output_bytes=1 << 30)
PACKAGES = ("sortedcontainers", "pysnooper")
PEERS = ("pysnooper", "snoop", "hunter", "viztracer", "coverage")


@frozen
class Workload:
    """`package` is what is traced, the file itself when it is None; a `long` one is run with caps only."""

    name: str
    file: str
    times: int
    package: str | None = None
    long: bool = False

    @property
    def path(self) -> Path:
        return HERE / "workloads" / self.file


WORKLOADS = (
    Workload("nested arithmetic loops", "loops.py", 1),
    Workload("the same, 20 times over", "loops.py", 20, long=True),
    Workload("sortedcontainers", "sorted_calls.py", 1, "sortedcontainers"),
    Workload("the same, 20 times over", "sorted_calls.py", 20, "sortedcontainers", long=True),
)


@frozen
class Bench:
    """One Python under test, with the packages it needs in a folder, and room for logs."""

    python: str
    packages: Path
    scratch: Path

    def plain(self, *command: str) -> str:
        return self._run([self.python, *command])

    def traced(self, limits: RecordLimits, traced: list[str], script: Path, *args: str) -> tuple[str, int]:
        """The program's output, and how many lines were recorded."""
        log = self.scratch / "trace.log"
        log.unlink(missing_ok=True)
        spec = RunSpec(
            kind=SCRIPT,
            target=[str(script)],
            root=str(self.scratch),
            cwd=str(self.scratch),
            scratch=str(self.scratch),
            log=str(log),
            args=list(args),
            traced=traced,
            record_limits=limits,
            process_limits=ROOMY,
        )
        file = self.scratch / "spec.json"
        file.write_text(spec.to_json())
        return self._run([self.python, str(launcher()), str(file)]), recorded_lines(log)

    def _run(self, command: list[str]) -> str:
        env = {**os.environ, "PYTHONPATH": str(self.packages)}
        done = subprocess.run(
            command, env=env, cwd=self.scratch, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


@frozen
class Costs:
    """The fastest run, in seconds, of a workload on one Python, by configuration; and what was recorded."""

    lines: int
    seconds: Mapping[str, float]
    kept: Mapping[str, int]


def launcher() -> Path:
    found = importlib.util.find_spec("backtrail_probe")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "launch.py"


def recorded_lines(log: Path) -> int:
    """The number of line events in a log: a bench of a recorder that records nothing is worth nothing."""
    return sum(line.startswith((b'["line"', b'["again"')) for line in read_bytes(log).splitlines())


def seconds(output: str) -> float:
    return float(json.loads(output.splitlines()[-1])["seconds"])


def costs(bench: Bench, workload: Workload, traced: list[str]) -> Costs:
    """The configurations in turn, each as often as ROUNDS says; the slow ones not for a long workload."""
    command = [str(workload.path), str(workload.times)]
    limits = {"capped": RecordLimits()} if workload.long else {"capped": RecordLimits(), "uncapped": NO_CAPS}
    times: dict[str, list[float]] = {}
    kept: dict[str, int] = {}

    def took(name: str, output: str) -> None:
        times.setdefault(name, []).append(seconds(output))

    for number in range(ROUNDS["plain"]):
        took("plain", bench.plain(str(TIMED), *command))
        for name in (name for name in limits if number < ROUNDS[name]):
            output, kept[name] = bench.traced(limits[name], traced, TIMED, *command)
            took(name, output)
        if number < ROUNDS["snooper"] and not workload.long:
            took("snooper", bench.plain(str(TIMED), *command, "pysnooper"))
    lines = json.loads(bench.plain(str(TIMED), *command, "count"))["lines"] * workload.times
    return Costs(lines, {name: min(values) for name, values in times.items()}, kept)


def row(version: str, name: str, cost: Costs) -> str:
    plain = cost.seconds["plain"]

    def versus(which: str, bold: str = "") -> str:
        if which not in cost.seconds:
            return "–"
        more = cost.seconds[which] - plain
        kept = f", {cost.kept[which]:,} kept" if which in cost.kept else ""
        each = f"{more / cost.lines * 1e9:,.0f} ns a line"
        return f"{bold}{cost.seconds[which] / plain:.1f}×{bold} ({each}{kept})"

    cells = [
        version,
        f"{name}, {cost.lines:,} lines",
        f"{plain * 1e3:.2f} ms",
        versus("capped", "**"),
        versus("uncapped"),
        versus("snooper"),
    ]
    return f"| {' | '.join(cells)} |"


def packages_folder(folder: Path) -> dict[str, str]:
    """Copies of the pure packages, so that every Python can import them; their paths by name."""
    paths = {}
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            raise SystemExit(f"bench.recorder needs {name}: pip install {name}")
        shutil.copytree(Path(found.origin).parent, folder / name)
        paths[name] = str(folder / name)
    return paths


def each_python(report: Callable[[str, Bench, Mapping[str, str]], None]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        # Resolved, since the probe compares real paths.
        top = Path(temporary).resolve()
        paths = packages_folder(top / "packages")
        for (major, minor), python in sorted(pythons.found().items()):
            scratch = top / f"{major}.{minor}"
            scratch.mkdir()
            report(f"{major}.{minor}", Bench(python, top / "packages", scratch), paths)


def report_costs(version: str, bench: Bench, paths: Mapping[str, str]) -> None:
    for workload in WORKLOADS:
        traced = [paths[workload.package] if workload.package else str(workload.path)]
        print(row(version, workload.name, costs(bench, workload, traced)), flush=True)


def report_start(version: str, bench: Bench, paths: Mapping[str, str]) -> None:
    print(start_cost(bench).row(version), flush=True)


def peers_row(bench: Bench, workload: Workload, traced: list[str]) -> str:
    """The workload under each tool in turn: the best of a few runs, as ratios to the plain one."""
    command, times = [str(TIMED), str(workload.path), str(workload.times)], dict[str, list[float]]()
    for _ in range(ROUNDS["peers"]):
        for name in ("plain", *PEERS):
            times.setdefault(name, []).append(seconds(bench.plain(*command, name)))
        for name, limits in (("capped", RecordLimits()), ("uncapped", NO_CAPS)):
            times.setdefault(name, []).append(seconds(bench.traced(limits, traced, TIMED, *command[1:])[0]))
    best = {name: min(values) for name, values in times.items()}
    ratios = (f"{best[name] / best['plain']:,.1f}×" for name in ("capped", "uncapped", *PEERS))
    return f"| {workload.name} | {best['plain'] * 1e3:.2f} ms | {' | '.join(ratios)} |"


def report_peers(version: str, python: str) -> None:
    """With the tools of that Python, installed for it into a folder by the pip of this one."""
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary).resolve()
        tools = top / "tools"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        fitting = ["--only-binary=:all:", "--python-version", version, "--target", str(tools)]
        subprocess.run([*pip, "install", "--quiet", *fitting, "sortedcontainers", *PEERS], check=True)
        told = subprocess.run(
            [*pip, "list", "--format=freeze", "--path", str(tools)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        versions = [line for line in told.lower().splitlines() if line.partition("==")[0] in PEERS]
        print(f"\nBeside other tools on Python {version}: {', '.join(versions)}.")
        print("viztracer sees calls and no lines, coverage lines and no values.\n")
        print(f"| workload | plain | default caps | no caps | {' | '.join(PEERS)} |")
        print("|---" * (4 + len(PEERS)) + "|")
        bench = Bench(python, tools, top)
        for workload in (each for each in WORKLOADS if not each.long):
            traced = str(tools / "sortedcontainers") if workload.package else str(workload.path)
            print(peers_row(bench, workload, [traced]), flush=True)


def report_all_peers() -> None:
    """On the Python that the figures to be reached are for, and on the newest."""
    found = pythons.found()
    for version in sorted({max(found), (3, 13)} & set(found)):
        report_peers(".".join(map(str, version)), found[version])


def report_all_costs() -> None:
    rounds = "{plain} runs (no caps: {uncapped}, PySnooper: {snooper})".format(**ROUNDS)
    print(f"The fastest of {rounds}, each in a fresh process: other work can only add to it.\n")
    print("| Python | workload | plain | Backtrail, default caps | Backtrail, no caps | PySnooper |")
    print("|---|---|---|---|---|---|")
    each_python(report_costs)


def report_all_starts() -> None:
    print(f"\nA five-line script, the whole process, the fastest of {STARTS}:\n")
    print(HEAD)
    each_python(report_start)


PARTS = {"costs": report_all_costs, "peers": report_all_peers, "starts": report_all_starts}


def main() -> int:
    print(f"{describe('backtrail', *PACKAGES)}")
    if hasattr(os, "getloadavg"):
        print(f"Load average at the start: {os.getloadavg()[0]:.1f}; ratios from a busy machine are rough.")
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
    if pythons.missing():
        print(f"\nNot found here: Python {', '.join(pythons.missing())}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
