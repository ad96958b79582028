"""Memory that was freed, and that the C library holds all the same."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Hands it to the system: most of it is left of reading the tokenizer's file, and of long prompts. A few
    milliseconds. For the GNU C library; others do it by themselves, or know no way to."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
