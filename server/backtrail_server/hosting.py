"""The model host that the server starts itself, when the person set model.autoStart."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

from attrs import define

from backtrail_server.settings import Settings
from backtrail_tracer.starting import started_process

_STOP_S = 10.0


class HostNotStarted(Exception):
    """The host did not come up; the message says what to do."""


def owned(model: str) -> tuple[str, ...]:
    """The command of a host on a free port that ends with whoever started it, however that one ends: its
    stdin has to be a pipe that stays open."""
    host = (sys.executable, "-m", "backtrail_server", "host", "--owned")
    return (*host, "--port", "0", "--model", model)


@define(eq=False)
class LocalHost:
    """At most one `backtrail host`, owned by this server and gone with it."""

    _process: asyncio.subprocess.Process | None = None
    _drain: asyncio.Task[None] | None = None

    async def start(
        self,
        settings: Settings,
        on_line: Callable[[str], None],
        *,
        stderr: int | None = asyncio.subprocess.DEVNULL,
    ) -> None:
        """Returns once the host answers. Its address and token are then in its own note, where
        `connect` finds them. Raises HostNotStarted. `stderr` None shows its progress where ours goes."""
        import secrets  # which loads hashlib: not needed before a host is started

        await self.close()
        # The token goes by the environment: a command line can be read by everyone on the machine.
        self._process = process = await started_process(
            asyncio.create_subprocess_exec(
                *owned(settings.model.name),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, "BACKTRAIL_TOKEN": secrets.token_urlsafe(24)},
            )
        )
        assert process.stdout is not None
        async for line in process.stdout:
            said = line.decode(errors="replace").strip()
            on_line(said)
            if said.startswith("ready: "):
                self._drain = asyncio.ensure_future(_discard(process.stdout))
                return
        status = await process.wait()
        raise HostNotStarted(
            f"The model host ended with status {status} before it was ready. Run it by hand to see why: "
            "backtrail host"
        )

    async def close(self) -> None:
        process, self._process = self._process, None
        if self._drain is not None:
            self._drain.cancel()
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _discard(stream: asyncio.StreamReader) -> None:
    """Keep the pipe empty, so that the host never waits for us to read what it says."""
    while await stream.read(65536):
        pass
