"""A model host that we start ourselves: for an editor with model.autoStart, a command, or a study."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

from attrs import define

from backtrail_tracer.starting import started_process

_STOP_S = 10.0


class HostNotStarted(Exception):
    """The host did not come up; the message says what to do."""


@define(eq=False)
class LocalHost:
    """At most one `backtrail host`, owned by this process and gone with it, however that one ends."""

    _process: asyncio.subprocess.Process | None = None
    _drain: asyncio.Task[None] | None = None

    async def start(
        self,
        model: str,
        on_line: Callable[[str], None],
        *,
        adapter: str = "",
        state: Path | None = None,
        stderr: int | None = asyncio.subprocess.DEVNULL,
    ) -> tuple[str, str]:
        """Its URL and token, once it answers; they are in its own note too, where `connect` finds them: in
        the folder `state`, or where all look. Raises HostNotStarted. `stderr` None shows its progress where
        ours goes."""
        import secrets  # which loads hashlib: not needed before a host is started

        await self.close()
        token, note = secrets.token_urlsafe(24), {"BACKTRAIL_STATE": str(state)} if state else {}
        self._process = process = await started_process(
            asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "backtrail_server", "host", "--owned"),
                *("--port", "0", "--model", model, *(("--adapter", adapter) if adapter else ())),
                stdin=asyncio.subprocess.PIPE,  # it ends when this is closed
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                # Ctrl-C is for us: we end the host, after we have closed its requests.
                start_new_session=True,
                # The token goes by the environment: a command line can be read by everyone on the machine.
                env={**os.environ, "BACKTRAIL_TOKEN": token, **note},
            )
        )
        assert process.stdout is not None
        async for line in process.stdout:
            said = line.decode(errors="replace").strip()
            on_line(said)
            if said.startswith("ready: "):
                self._drain = asyncio.ensure_future(_discard(process.stdout))
                return said.removeprefix("ready: ").split(",")[0], token
        status = await process.wait()
        raise HostNotStarted(
            f"The model host ended with status {status} before it was ready. Run it by hand to see why: "
            f"backtrail host --model {model}{f' --adapter {adapter}' if adapter else ''}"
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
