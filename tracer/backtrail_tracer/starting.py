"""The start of a process, which a cancel may not cut in two.

asyncio that is cancelled between the fork and the connection of the pipes waits for ever for pipes that
nobody connects any more (Python 3.11), and so would whoever waits for the event loop to end.
"""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def started(start: Coroutine[Any, Any, T], undo: Callable[[T], object]) -> T:
    """What `start` gives, which is some milliseconds' work. A cancel is heard when it is done, and what was
    started is undone before it goes on. Raises what `start` raises."""
    starting = asyncio.ensure_future(start)
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        while not starting.done():
            with suppress(asyncio.CancelledError):  # the first one is raised in the end
                await asyncio.wait([starting])
        if not starting.cancelled() and starting.exception() is None:
            undo(starting.result())
        raise


async def started_process(
    start: Coroutine[Any, Any, asyncio.subprocess.Process],
) -> asyncio.subprocess.Process:
    """The same for `asyncio.create_subprocess_exec`."""
    return await started(start, Process.kill)
