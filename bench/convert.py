"""Conversion to NF4: seconds, and the most memory it took beside what the form itself must cost.

    python -m bench.convert [MODEL …]

Each model is converted into an empty cache in a process of its own. The bound is 1.3 times the bf16 size
of the largest file of the source, plus the NF4 form. Two peaks are told: of all memory, in which pages of
files that the system keeps mapped count too, and of the process's own, which it cannot give back; the
latter without the libraries (torch and transformers, the same whatever the model). "CPU" is processor
time: where other work keeps the cores busy, half of it is what two free cores would take at best.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from attrs import frozen

from backtrail_model import weights
from backtrail_model.study.machine import describe

MODELS = ("smollm2-135m", "qwen2.5-coder-1.5b")
REACH_S = 60.0
FACTOR = 1.3
CHILD = """
import json, sys, time
import psutil
began = time.perf_counter()
from backtrail_model import weights
import backtrail_model.host.convert
imported = time.perf_counter()
used = time.process_time()
before = psutil.Process().memory_info()
folder = weights.prepare(sys.argv[1])
seconds, spent = time.perf_counter() - imported, time.process_time() - used
told = {"folder": str(folder), "imports": imported - began, "seconds": seconds, "cpu": spent}
print(json.dumps(told | {"libraries": before.rss - getattr(before, "shared", 0)}))
"""

HEAD = """\
| | seconds | CPU | imports | peak memory | of its own | bound | own / bound |
|---|---|---|---|---|---|---|---|"""


@frozen
class Converted:
    """Bytes and seconds. `own` is the peak of memory that belongs to the process alone, beyond what the
    imported libraries take."""

    seconds: float
    cpu: float
    imports: float
    resident: int
    own: int
    bf16: int
    nf4: int

    @property
    def bound(self) -> float:
        return FACTOR * self.bf16 + self.nf4


def convert(source: Path) -> Converted:
    """Convert one GGUF file, watched from outside."""
    with tempfile.TemporaryDirectory() as cache:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(source)],
            env={**os.environ, "BACKTRAIL_CACHE": cache},
            stdout=subprocess.PIPE,
            text=True,
        )
        peaks = [0, 0]
        watcher = threading.Thread(target=_watch, args=(process, peaks), daemon=True)
        watcher.start()
        said, _ = process.communicate()
        watcher.join()
        if process.returncode:
            raise SystemExit(f"the conversion of {source} ended with status {process.returncode}")
        told = json.loads(said.splitlines()[-1])
        nf4 = sum(path.stat().st_size for path in Path(told["folder"]).glob("*.safetensors"))
    own = peaks[1] - told["libraries"]
    return Converted(told["seconds"], told["cpu"], told["imports"], peaks[0], own, bf16_bytes(source), nf4)


def _watch(process: subprocess.Popen[str], peaks: list[int]) -> None:
    """Resident and own memory, 50 times a second."""
    import psutil

    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            memory = watched.memory_info()
        except psutil.Error:
            return
        peaks[0] = max(peaks[0], memory.rss)
        peaks[1] = max(peaks[1], memory.rss - getattr(memory, "shared", 0))
        time.sleep(0.02)


def bf16_bytes(source: Path) -> int:
    """What the weights of a GGUF file take at two bytes each."""
    import gguf

    return sum(2 * int(tensor.n_elements) for tensor in gguf.GGUFReader(source).tensors)


def main(models: list[str] | None = None) -> int:
    print(describe("torch", "transformers", "bitsandbytes", "gguf"))
    print(f"\n{HEAD}")
    reached = True
    for name in models or MODELS:
        one = convert(weights.fetch(name).path)
        memory = [f"{size / 1e9:.2f} GB" for size in (one.resident, one.own, one.bound)]
        share = one.own / one.bound
        print(
            f"| {name} | {one.seconds:.1f} s | {one.cpu:.1f} s | {one.imports:.1f} s | "
            f"{' | '.join(memory)} | {share:.2f} |",
            flush=True,
        )
        reached = reached and one.own <= one.bound and one.seconds <= REACH_S
    print(f"\nWithin {REACH_S:.0f} s and the bound: {'yes' if reached else 'no'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
