"""What a model that was loaded holds in memory, as the system counts it."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

LOADED = """
import ctypes, sys
from pathlib import Path
import psutil
from backtrail_model.host.load import load
loaded = load(Path(sys.argv[1]))
before = psutil.Process().memory_info().rss
ctypes.CDLL(None).malloc_trim(0)
print(before - psutil.Process().memory_info().rss)
"""


@pytest.mark.model
@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not the GNU C library"
)
def test_nothing_that_loading_needed_is_held_any_more(small_folder: Path) -> None:
    command = [sys.executable, "-c", LOADED, str(small_folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert int(done.stdout.split()[-1]) < 8e6
