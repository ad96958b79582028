"""`backtrail trace --compare`: a failing run beside the last good one, kept between two calls."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.server.conftest import make_project

GOOD = """\
def half(n):
    left = n // 2
    return left


if __name__ == "__main__":
    assert half(9) + half(4) == 6
"""


def trace(path: Path, cache: Path) -> str:
    command = [sys.executable, "-m", "backtrail_server", "trace", str(path), "--compare"]
    environ = {**os.environ, "BACKTRAIL_CACHE": str(cache), "COLUMNS": "160"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    return " ".join(done.stdout.split())


def test_a_failure_is_compared_with_the_good_run_before_it(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", {"go.py": GOOD.replace("// 2", "// 3")})
    assert "no good run of python go.py is kept" in trace(root / "go.py", tmp_path)
    (root / "go.py").write_text(GOOD)
    assert "this run is kept" in trace(root / "go.py", tmp_path)
    (root / "go.py").write_text(GOOD.replace("// 2", "// 3"))
    told = trace(root / "go.py", tmp_path)
    assert "They first differ at go.py:2 in half" in told and "left was 4 (hit 1), now 3" in told, told
    assert "left = n // 3" in told and "differs" in told
