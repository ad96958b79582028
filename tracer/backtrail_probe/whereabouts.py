"""Tells where the program is at the moment it is ended, whatever the caps have left unrecorded.

`faulthandler` writes the stacks from a handler in C: it needs no turn of the interpreter, so a program
that is blocked in C, or loops with its lines no longer followed, can be asked all the same.
"""

from __future__ import annotations

import os

from .constants import ASKED, PYTEST, WHERE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .wire import RunSpec

_OUT_OF_THE_WAY = 400


def answer_when_asked(spec: "RunSpec") -> None:
    """From here on the signal `ASKED`, and a fatal signal, write the stacks into the file beside the log.

    pytest tells of fatal signals itself, on stderr, and a person who has switched that on wants it there.
    """
    if not ASKED:
        return
    import faulthandler

    descriptor = _high(os.open(spec.log + WHERE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    faulthandler.register(ASKED, file=descriptor, all_threads=True, chain=False)
    if spec.kind != PYTEST and not faulthandler.is_enabled():
        faulthandler.enable(file=descriptor)


def _high(descriptor: int) -> int:
    """The program's own files have the numbers that they have without us."""
    import fcntl

    for number in (_OUT_OF_THE_WAY, 64):
        try:
            moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, number)
        except OSError:
            continue  # a low limit on descriptors
        os.close(descriptor)
        return moved
    return descriptor
