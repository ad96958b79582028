"""The records of a second pass in the order in which things happened.

The last hits before a failure are written when it comes, each with the place in the log where it belongs
(`backtrail_probe/recorder/ring.py`).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import accumulate

_HEAD = re.compile(rb'\["ring",(\d{1,15}),')
_RING = b'["ring",'


def has_rings(log: bytes) -> bool:
    """Whether the log holds last hits; what merely looks so is told apart later."""
    return log.startswith(_RING) or b"\n" + _RING in log


def in_order(lines: list[bytes]) -> list[bytes]:
    """The same lines, those of rings before the first of the others that begins at their place or behind."""
    starts = accumulate((len(line) + 1 for line in lines), initial=0)
    others: list[bytes] = []
    begins: list[int] = []
    kept: list[tuple[int, bytes]] = []
    for line, start in zip(lines, starts, strict=False):
        found = _HEAD.match(line)
        if found:
            kept.append((int(found[1]), line))
        else:
            others.append(line)
            begins.append(start)
    return _merged(others, begins, kept)


def _merged(others: list[bytes], begins: list[int], kept: list[tuple[int, bytes]]) -> list[bytes]:
    made: list[bytes] = []
    done = 0
    for at, line in sorted(kept, key=lambda each: each[0]):
        place = max(done, bisect_left(begins, at))
        made += others[done:place]
        made.append(line)
        done = place
    return made + others[done:]
