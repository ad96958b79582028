"""Reaching the model host: the one in the settings, the one on this machine, or one that is started."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from attrs import frozen

from backtrail_server.core import Core
from backtrail_server.editor import Progress
from backtrail_server.hosting import HostNotStarted
from backtrail_server.settings import Settings

if TYPE_CHECKING:
    from backtrail_model.client import Health, ModelClient


@frozen
class NoModel:
    """Why no model can be asked, and what to do about it."""

    reason: str
    advice: str

    def __str__(self) -> str:
        advice = f" {self.advice[0].upper()}{self.advice[1:]}." if self.advice else ""
        return f"No model was asked: {self.reason.rstrip('.')}.{advice}"


@frozen
class _Answered:
    """A client, and what its host just said of itself; the client is for its receiver to close."""

    client: ModelClient
    health: Health


@asynccontextmanager
async def reached(core: Core, settings: Settings, progress: Progress) -> AsyncIterator[ModelClient | NoModel]:
    """A client whose host answered just now, or why there is none. Starts a host where that is wanted."""
    found = await _asked(core, settings)
    if isinstance(found, NoModel) and settings.model.auto_start and not settings.model.base_url:
        progress.report("starting the model host")
        try:
            await core.host.start(settings.model.name, progress.report)
            found = await _asked(core, settings)
        except HostNotStarted as error:
            found = NoModel(str(error), "")
    if isinstance(found, NoModel):
        yield found
        return
    try:
        yield found.client
    finally:
        await found.client.aclose()


async def _asked(core: Core, settings: Settings) -> _Answered | NoModel:
    from backtrail_model.client import HostError, NoHost

    client = core.services.assisting.connect(settings)
    if isinstance(client, NoHost):
        return NoModel(client.reason, client.advice)
    try:
        return _Answered(client, await client.health())
    except HostError as error:
        await client.aclose()
        return NoModel(str(error), error.advice)


async def health(core: Core, settings: Settings) -> Health | NoModel:
    """What the host says of itself, or why it says nothing."""
    found = await _asked(core, settings)
    if isinstance(found, NoModel):
        return found
    await found.client.aclose()
    return found.health


async def on_gpu(core: Core, settings: Settings) -> bool:
    """Whether the host says that it computes on a GPU."""
    said = await health(core, settings)
    return not isinstance(said, NoModel) and "cuda" in str(said.detail.get("device", "")).lower()
