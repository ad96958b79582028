"""Fixes that a person applied, kept on this machine for `backtrail tune` when they said so (`fix.keep`)."""

from __future__ import annotations

from pathlib import Path

from backtrail_server.results import Shown
from backtrail_server.trust import data_folder


def keep(shown: Shown, before: str, after: str, folder: Path | None = None) -> str | None:
    """Keeps one fix of a failure, with the facts that the trace had of it; secrets are taken out.

    Returns why it could not be kept, or None: kept, or too long to be learnt from. `folder` is the user's
    data folder when None. Takes a while; call it in a thread.
    """
    from backtrail_model.evidence import gather
    from backtrail_model.tune.kept import Kept, triple_of
    from backtrail_server.assisting import source_of

    evidence = gather(shown.ran.trace, shown.failure, source_of(shown.ran))
    triple = triple_of(before, after, evidence.to_text())
    if triple is None:
        return None
    try:
        Kept(folder or data_folder()).add(triple)
    except OSError as error:
        return f"the fix could not be kept: {error}"
    return None
