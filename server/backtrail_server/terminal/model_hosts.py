"""Models by name, each served for as long as it is studied: a running one by its address, else our own.

A name is an alias of the catalogue, a hub id, a folder or a GGUF file, as for `backtrail host --model`; with
`+FOLDER` an adapter is laid over it. `URL` or `NAME@URL` is a server that runs already.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import frozen

from backtrail_model.study.study import Address
from backtrail_server.hosting import LocalHost


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
            # It has a note of its own, so that an editor goes on using the host that it has.
            host = LocalHost()
            try:
                address, token = await host.start(
                    model, self.tell, adapter=adapter, state=Path(state), stderr=None
                )
                yield Address(address, token)
            finally:
                await host.close()


def labels(names: Iterable[str]) -> dict[str, str]:
    """What each model is called in the records: a server's port may change, its model's name does not."""
    return {_server(name)[0] or name: name for name in names}


def _server(name: str) -> tuple[str, str]:
    """(model, URL) of a name that means a running server; two empty texts for any other."""
    model, _, url = name.rpartition("@")
    return (model, url) if url.startswith(("http://", "https://")) else ("", "")
