"""Models by name, each served for as long as it is studied: a running one by its address, else our own.

A name is an alias of the catalogue, a hub id, a folder or a GGUF file, as for `backtrail host --model`; with
`+FOLDER` an adapter is laid over it. `URL` or `NAME@URL` is a server that runs already.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import frozen

from backtrail_model.study.study import Address
from backtrail_server.hosting import HostNotStarted, owned
from backtrail_tracer.starting import started_process

_STOP_S = 10.0


@frozen
class Serving:
    """`tell` gets what a starting host says. `allow_hosts` are those beyond this machine to be asked."""

    names: Mapping[str, str]  # label -> what was given on the command line
    tell: Callable[[str], None]
    token: str = ""
    allow_hosts: tuple[str, ...] = ()

    @asynccontextmanager
    async def __call__(self, label: str) -> AsyncIterator[Address]:
        """Raises HostNotStarted."""
        name = self.names[label]
        model, url = _server(name)
        if url:
            yield Address(url, self.token, model or None, self.allow_hosts)
            return
        model, _, adapter = name.partition("+")
        with tempfile.TemporaryDirectory(prefix="backtrail-host-") as state:
            process = await _start(model, adapter, Path(state))
            try:
                yield await _ready(process, self.tell, name)
            finally:
                await _end(process)


def labels(names: Iterable[str]) -> dict[str, str]:
    """What each model is called in the records: a server's port may change, its model's name does not."""
    return {_server(name)[0] or name: name for name in names}


def _server(name: str) -> tuple[str, str]:
    """(model, URL) of a name that means a running server; two empty texts for any other."""
    model, _, url = name.rpartition("@")
    return (model, url) if url.startswith(("http://", "https://")) else ("", "")


@frozen
class _Process:
    process: asyncio.subprocess.Process
    token: str


async def _start(model: str, adapter: str, state: Path) -> _Process:
    """A host with a note of its own, so that an editor goes on using the one it has."""
    token = secrets.token_urlsafe(24)
    laid_over = ("--adapter", adapter) if adapter else ()
    process = await started_process(
        asyncio.create_subprocess_exec(
            *owned(model),
            *laid_over,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C is for the study: it ends the host itself, after it has closed its requests.
            start_new_session=True,
            env={**os.environ, "BACKTRAIL_TOKEN": token, "BACKTRAIL_STATE": str(state)},
        )
    )
    return _Process(process, token)


async def _ready(started: _Process, tell: Callable[[str], None], name: str) -> Address:
    assert started.process.stdout is not None
    async for line in started.process.stdout:
        said = line.decode(errors="replace").strip()
        tell(said)
        if said.startswith("ready: "):
            return Address(said.removeprefix("ready: ").split(",")[0], started.token)
    status = await started.process.wait()
    raise HostNotStarted(
        f"The model host for {name} ended with status {status} before it was ready. Run it by hand to see "
        f"why: backtrail host --model {name}"
    )


async def _end(started: _Process) -> None:
    if started.process.returncode is not None:
        return
    started.process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await started.process.wait()
    except TimeoutError:
        started.process.kill()
        await started.process.wait()
