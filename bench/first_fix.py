"""Time to the first verified fix of the example, prompt cold: the model host starts anew for every run.

`python -m bench.first_fix [RUNS]`. The clock runs from the start of the search (the model is loaded,
nothing of the prompt is cached) to the first candidate that passed every test.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from backtrail_model.study.machine import describe

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "readings"
REACH_S = 25.0


def once() -> tuple[dict[str, Any], float]:
    """The document that `backtrail fix --json` prints, and the seconds of the whole command."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "backtrail_server", "fix", str(EXAMPLE), "--json", "--no-explanation"],
        env={**os.environ, "VIRTUAL_ENV": sys.prefix},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    return json.loads(done.stdout), time.perf_counter() - began


def main(runs: int) -> int:
    print(describe("torch", "transformers", "bitsandbytes"))
    first, whole = [], []
    for number in range(runs):
        document, seconds = once()
        found = document["seconds_to_first_fix"]
        if found is None:
            print(f"run {number + 1}: no fix in {document['seconds']:.1f} s; {document['notes']}")
            continue
        fix = document["fix"]
        print(
            f"run {number + 1}: first fix after {found:.1f} s, command {seconds:.1f} s;"
            f" {fix['title']} ({fix['proposer']})"
        )
        first.append(found)
        whole.append(seconds)
    if not first:
        return 1
    median = statistics.median(first)
    verdict = "reached" if median <= REACH_S else f"missed by {median - REACH_S:.1f} s"
    print("\n| | median | reach |\n|---|---|---|")
    print(f"| first verified fix | {median:.1f} s | ≤ {REACH_S:.0f} s: {verdict} |")
    print(f"| the whole command, model start included | {statistics.median(whole):.1f} s | |")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
