"""The model host from the command line: serve one, or borrow one for the length of a command."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from backtrail_server.assisting import ModelAssisting
from backtrail_server.hosting import HostNotStarted, LocalHost
from backtrail_server.settings import Settings
from backtrail_server.terminal.models import Bars

if TYPE_CHECKING:
    from backtrail_model.client import ModelClient

_EXTRA_MISSING = "The model host needs the model extra: python -m pip install 'backtrail[model]'"


def serve(
    model: str,
    address: str,
    port: int | None,
    token: str | None,
    *,
    anywhere: bool,
    owned: bool = False,
    adapter: Path | None = None,
) -> int:
    """`backtrail host`: fetch and convert what is missing, then serve until interrupted."""
    console = Console(stderr=True)
    try:
        from backtrail_model.host import serve as host
    except ImportError as error:
        console.print(f"{error}. {_EXTRA_MISSING}", style="red", markup=False)
        return 1
    with Bars(console) as bars:
        return host.main(
            model, address, port, token, anywhere=anywhere, owned=owned, adapter=adapter, progress=bars
        )


@contextlib.asynccontextmanager
async def borrowed(settings: Settings, console: Console) -> AsyncIterator[ModelClient]:
    """A client of the host that is configured or running; else of one of our own, ended afterwards.

    Raises HostNotStarted.
    """
    from backtrail_model.client import NoHost

    assisting, own = ModelAssisting(), LocalHost()
    found = assisting.connect(settings)
    try:
        if isinstance(found, NoHost) and not settings.model.base_url:
            with console.status("starting the model host") as status:
                await own.start(settings.model.name, status.update, stderr=None)
            found = assisting.connect(settings)
        if isinstance(found, NoHost):
            raise HostNotStarted(f"{found.reason}. {found.advice}")
        async with found as client:
            yield client
    finally:
        await own.close()
