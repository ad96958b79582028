"""One file a feature; each registers its handlers on the server it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

    from backtrail_server.core import Core


def register_all(server: LanguageServer, core: Core) -> None:
    """Give a server all features; what one feature needs of another is passed here."""
    from backtrail_server.features import (
        allow,
        code_actions,
        code_lens,
        commands,
        configuration,
        debug,
        diagnostics,
        divergence,
        evaluate,
        hover,
        inlay_hints,
        on_save,
        session,
    )
    from backtrail_server.features.fix import Fixing
    from backtrail_server.features.refresh import Refresh

    refresh = Refresh(diagnostics.register(server, core), core.editor)
    fixing = Fixing(core, refresh)
    configuration.register(server, core)
    on_save.register(server, core, refresh, fixing)
    hover.register(server, core)
    inlay_hints.register(server, core)
    code_lens.register(server, core)
    code_actions.register(server, core, fixing)
    allow.register(server, core, refresh)
    commands.register(server, core, refresh, fixing)
    debug.register(server, core, refresh)
    evaluate.register(server, core)
    divergence.register(server, core)
    session.register(server, core)
