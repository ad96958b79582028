"""What recording a running web app costs it: requests a second before, during and after, and answer times.

python -m bench.attach [SECONDS]

The app runs under `python -m debugpy --listen` on the newest Python that the tests find; one thread asks.
"during" is the recorded time with the attach before it, "first second" its dearest part: debugpy's attach,
finding the code, and the hits that are kept.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from textwrap import dedent

from attrs import define, field
from tests import pythons
from tests.tracer import apps

from backtrail_model.study.machine import describe
from backtrail_probe.wire import RecordLimits
from backtrail_tracer.attach import Target, record

_COUNT = 200  # turns of the loop that a request is answered by


@define
class Load:
    """Requests one after another; when each was answered, and how long it took."""

    app: apps.App
    answers: list[tuple[float, float]] = field(factory=list)
    stop: threading.Event = field(factory=threading.Event)

    def run(self) -> None:
        while not self.stop.is_set():
            started = time.perf_counter()
            self.app.get(_COUNT)
            now = time.perf_counter()
            self.answers.append((now, now - started))

    def row(self, name: str, begin: float, end: float, base: float | None = None) -> float:
        """Prints one line of the table; gives the requests a second."""
        taken = [each for at, each in self.answers if begin <= at < end]
        rate = len(taken) / (end - begin)
        slowest = max(taken, default=0.0) * 1000
        median = statistics.median(taken) * 1000 if taken else 0.0
        ratio = f"{base / rate:6.2f}x slower" if base and rate else ""
        print(f"{name:34}{rate:9.0f} /s  median {median:6.2f} ms  slowest {slowest:7.1f} ms  {ratio}")
        return rate


def measure(name: str, source: str, needs: tuple[str, ...], python: str, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "app.py"
        script.write_text(dedent(source))
        library = apps.library(Path(folder) / "lib", ("debugpy", *needs))
        if library is None:
            print(f"{name}: not measured, one of {', '.join(needs)} is not installed")
            return
        with apps.running(python, script, library) as app:
            load = Load(app)
            thread = threading.Thread(target=load.run)
            thread.start()
            try:
                _phases(name, load, script, seconds)
            finally:
                load.stop.set()
                thread.join()


def _phases(name: str, load: Load, script: Path, seconds: float) -> None:
    time.sleep(1.0)  # to warm up
    begin = time.perf_counter()
    time.sleep(seconds)
    attach = time.perf_counter()
    base = load.row(f"{name}: before", begin, attach)
    for label, limits in (("kept: 10 hits a line", RecordLimits()), ("kept: all", _all())):
        begin = time.perf_counter()
        target = Target.parse(load.app.debugger)
        trace = asyncio.run(record(target, seconds, root=script.parent, files=[script], limits=limits))
        end = time.perf_counter()
        load.row(f"  during ({label})", begin, begin + seconds, base)
        load.row("  during, first second", begin, begin + 1.0, base)
        print(f"    {len(trace.hits):,} hits kept{'; ' + trace.limits[0] if trace.limits else ''}")
        time.sleep(seconds)
        load.row("  after", end, time.perf_counter(), base)


def _all() -> RecordLimits:
    return RecordLimits(hits_per_line=0, calls_per_function=0, events=0)


def main(seconds: float) -> None:
    python = pythons.monitoring()
    if python is None:
        print(f"not measured: no Python with sys.monitoring ({pythons.missing()} are missing)")
        return
    newest = pythons.newest()
    print(f"{describe('debugpy', 'starlette', 'uvicorn')}; the app: {newest}")
    measure("http.server", apps.PLAIN, (), newest, seconds)
    measure("starlette", apps.STARLETTE, apps.STARLETTE_NEEDS, newest, seconds)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 4.0)
