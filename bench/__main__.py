"""`python -m bench [NAME ...]`: run the benches one after another, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# In the order of cost: a person who stops early has seen the cheap ones.
BENCHES = (
    "recorder",
    "curve",
    "reader",
    "verify",
    "lsp",
    "attach",
    "model_host",
    "first_fix",
    "convert",
    "host_peers",
    "gpu",
    "explanations",
    "suites",
)


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"no bench called {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
        return 2
    failed = []
    for name in names or BENCHES:
        print(f"\n## {name}\n", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"bench.{name}"], cwd=Path(__file__).parents[1], check=False
        )
        if done.returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
