"""The client's settings: with `initialize`, asked for afterwards, and whenever they change."""

from __future__ import annotations

import asyncio
import gc

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from backtrail_server.core import Core
from backtrail_server.settings import SECTION

_TIDY_S = 0.5  # after the burst of requests that follows `initialized`
_WATCHED = "backtrail/configuration"


def register(server: LanguageServer, core: Core) -> None:
    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        options = params.initialization_options
        if isinstance(options, dict):
            core.set_client_settings(options.get(SECTION, options))

    @server.feature(types.INITIALIZED)
    def initialized(params: types.InitializedParams) -> None:
        asyncio.get_running_loop().call_later(_TIDY_S, _tidy)
        _watch(server, core)
        _ask(core)

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    def changed(params: types.DidChangeConfigurationParams) -> None:
        """Some clients send the settings, others only say that they changed."""
        sent = params.settings
        section = sent.get(SECTION) if isinstance(sent, dict) else None
        if isinstance(section, dict):
            core.set_client_settings(section)
        else:
            _ask(core)


def _tidy() -> None:
    """Free what start-up left behind, and spare later collections what will live for ever."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _ask(core: Core) -> None:
    async def work(_: object) -> None:
        section = await core.editor.configuration()
        if section is not None:
            core.set_client_settings(section)

    if core.editor.can("workspace.configuration"):
        core.jobs.start(("configuration",), work, owner="reading the settings")


def _watch(server: LanguageServer, core: Core) -> None:
    """Ask to be told of changed settings, where the client wants to be asked."""
    if core.editor.can("workspace.did_change_configuration.dynamic_registration"):
        wanted = types.Registration(_WATCHED, types.WORKSPACE_DID_CHANGE_CONFIGURATION, {"section": SECTION})
        asked = server.client_register_capability_async(types.RegistrationParams([wanted]))
        asyncio.ensure_future(asked).add_done_callback(lambda done: done.cancelled() or done.exception())
