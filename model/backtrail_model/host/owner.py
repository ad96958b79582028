"""The program that started a host for itself, and holds its stdin open for as long as it is there.

A server that is killed can end nobody. But the system closes its end of the pipe, whatever became of it, and
on every system alike.
"""

from __future__ import annotations

import os
import signal
import threading


def end_with(descriptor: int) -> None:
    """Sends this process SIGTERM once the descriptor comes to its end; what is read from it is dropped."""
    threading.Thread(target=_wait_for_the_end, args=(descriptor,), name="owner", daemon=True).start()


def _wait_for_the_end(descriptor: int) -> None:
    # Not through `sys.stdin`: a thread that waits in it holds its lock when the interpreter ends.
    try:
        while os.read(descriptor, 4096):
            pass
    except OSError:  # it was closed on this side: there is no owner to ask for
        pass
    signal.raise_signal(signal.SIGTERM)
