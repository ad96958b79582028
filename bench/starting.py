"""What starting a traced run costs: a five-line script as a whole process, seen from outside.

Plain, traced, and traced in the sandbox, in turns. The sandboxed one is started by the command line that the
server uses. It is a part of `bench.recorder`.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from backtrail_probe.wire import SCRIPT, RecordLimits
from backtrail_tracer.bubblewrap import Bubblewrap, find
from backtrail_tracer.entries import Entry
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.reader import read_bytes
from backtrail_tracer.sandbox import scratch_folder
from backtrail_tracer.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bench.recorder import Bench

STARTS = 25
FIVE_LINES = "names = ['a', 'b']\ntotal = 0\nfor name in names:\n    total += len(name)\nprint(total)\n"
HEAD = "| Python | plain | traced | more | in the sandbox | more |\n|---|---|---|---|---|---|"


@frozen
class Starts:
    """The fastest of a whole process, in seconds: other work can only add to it."""

    plain: float
    traced: float
    sandboxed: float | None  # None: there is no sandbox here

    def row(self, version: str) -> str:
        more = [f"{self.traced * 1e3:.0f} ms", f"{(self.traced - self.plain) * 1e3:.0f} ms"]
        if self.sandboxed is None:
            more += ["–", "–"]
        else:
            more += [f"{self.sandboxed * 1e3:.0f} ms", f"{(self.sandboxed - self.plain) * 1e3:.0f} ms"]
        return f"| {version} | {self.plain * 1e3:.0f} ms | {' | '.join(more)} |"


def start_cost(bench: Bench) -> Starts:
    folder = bench.scratch / "five"
    folder.mkdir()
    script = folder / "five.py"
    script.write_text(FIVE_LINES)
    ways: dict[str, Callable[[], object]] = {
        "plain": lambda: bench.plain(str(script)),
        "traced": lambda: bench.traced(RecordLimits(), [str(script)], script),
    }
    if isinstance(find(), Bubblewrap):
        ways["sandboxed"] = lambda: _sandboxed(bench.python, script)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(STARTS):
        for name, run in ways.items():
            begun = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begun)
    best = {name: min(taken) for name, taken in times.items()}
    return Starts(best["plain"], best["traced"], best.get("sandboxed"))


def _sandboxed(python: str, script: Path) -> None:
    """Raises SystemExit when it did not run to its end, or recorded nothing."""
    # A Python that is unpacked below /tmp, which is private in there, may have its loader beside `usr`.
    environ = {**os.environ, "PYTHONPATH": str(Path(python).parents[2])}
    session = Session(Interpreter(Path(python), "under test"), script.parent, environ=environ)
    entry = Entry(script.name, SCRIPT, (str(script),), (), script.parent, script.name, "", (script,))
    with scratch_folder() as scratch:
        spec = session.spec(entry, scratch)
        command = session.command(spec, scratch)
        subprocess.run(command.argv, env=session.environment(scratch), check=True, capture_output=True)
        if b'"completed"' not in read_bytes(Path(spec.log)):
            raise SystemExit(f"{script} did not run to its end in the sandbox")
