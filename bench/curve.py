"""What recording costs as a program runs longer: 10³ to 10⁸ line events, default caps, and a plot of it.

python -m bench.curve [POWER [SVG]]     up to 10**POWER (8), the plot to SVG (docs/curve.svg)

The newest Python that records with `sys.monitoring` beside the newest that has to use `sys.settrace`. Each
figure is the best of its runs in a fresh process: what else the machine does can only add to it. How long
a log takes to load, with its index, is CPU time.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from attrs import frozen
from tests import pythons

from backtrail_model.study.machine import describe
from backtrail_probe.wire import RecordLimits
from backtrail_tracer.reader import Ending, read
from bench.plot import Points, svg
from bench.recorder import Bench

ROOT = Path(__file__).parents[1]
PROGRAM = Path(__file__).parent / "workloads" / "long_run.py"
SHORT_S = 3.0  # a row of runs that take longer is not repeated
ROUNDS = 5


@frozen
class Row:
    """Of one length on one Python: seconds plain and traced, lines kept, bytes of memory, seconds to load."""

    python: str
    kind: str
    events: int
    plain: float
    traced: float
    kept: int
    log: int
    peak: int
    more: int
    load: float

    def __str__(self) -> str:
        return (
            f"| {self.python} | {self.kind} | {self.events:,} | {self.plain * 1e3:,.2f} ms "
            f"| {self.traced * 1e3:,.2f} ms | {self.traced / self.plain:.2f}× | {self.kept:,} "
            f"| {self.log / 1e6:.2f} MB | {self.peak / 1e6:.0f} MB (+{self.more / 1e6:.0f}) "
            f"| {self.load * 1e3:.0f} ms |"
        )


def measure(bench: Bench, python: str, kind: str, events: int) -> Row:
    args = [str(events), kind]
    plain: list[dict[str, float]] = []
    traced: list[dict[str, float]] = []
    kept = 0
    for _ in range(ROUNDS):
        plain.append(json.loads(bench.plain(str(PROGRAM), *args)))
        output, kept = bench.traced(RecordLimits(), [str(PROGRAM)], PROGRAM, *args)
        traced.append(json.loads(output))
        if plain[-1]["seconds"] + traced[-1]["seconds"] > SHORT_S:
            break
    log = bench.scratch / "trace.log"
    begun = time.process_time()
    trace = read(log, "bench", Ending())
    load = time.process_time() - begun
    assert not trace.loose_ends
    peak, before = (max(int(each["peak"]) for each in runs) for runs in (traced, plain))
    size = len(log.read_bytes().rstrip(b"\0"))
    seconds = (min(each["seconds"] for each in runs) for runs in (plain, traced))
    return Row(python, kind, events, *seconds, kept, size, peak, peak - before, load)


def main(power: int = 8, plot: Path = ROOT / "docs" / "curve.svg") -> None:
    print(f"{describe('backtrail')}; default caps, the best of up to {ROUNDS} runs\n")
    print("| Python | program | line events | plain | traced | | kept | log | peak memory | loaded in |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    lines: dict[str, Points] = {}
    new = [version for version in pythons.found() if version >= (3, 12)]
    old = [version for version in pythons.found() if version < (3, 12)]
    with tempfile.TemporaryDirectory() as folder:
        for version in (max(each) for each in (new, old) if each):
            name = ".".join(map(str, version))
            bench = Bench(pythons.found()[version], Path(folder), Path(folder).resolve())
            rows = []
            for exponent in range(3, power + 1):
                rows.append(measure(bench, name, "loop", 10**exponent))
                print(rows[-1], flush=True)
            print(measure(bench, name, "wide", 10 ** min(7, power)), flush=True)
            lines[f"{name} plain"] = [(row.events, row.plain * 1e3) for row in rows]
            lines[f"{name} traced"] = [(row.events, row.traced * 1e3) for row in rows]
    plot.write_text(svg("The cost of recording, default caps", "line events run", "ms", lines))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(*([int(arguments[0])] if arguments else []), *map(Path, arguments[1:2]))
