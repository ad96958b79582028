"""Progress bars do not get in the way of what a host says on stdout."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
from rich.console import Console
from backtrail_server.terminal.models import Bars

with Bars(Console(stderr=True)) as bars:
    bars("waiting", 0, 0)
    bars("download", 1, 2)
    print("ready: in the middle", flush=True)
    bars("download", 2, 2)
    print("ready: afterwards", flush=True)
"""


def test_in_a_terminal_what_is_printed_goes_to_stdout() -> None:
    environ = {**os.environ, "FORCE_COLOR": "1"}  # rich then takes any stream for a terminal
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines() == ["ready: in the middle", "ready: afterwards"]
    assert "download" in done.stderr
