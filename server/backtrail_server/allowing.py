"""What a person may let the code of a workspace do beyond the guard, and in what words it is offered.

An allowance is one of the texts of the setting `guard.allow`. The ones that were given by "Allow … for
this workspace" are kept with the consent, outside the repository.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from backtrail_server.settings import Settings

if TYPE_CHECKING:
    from backtrail_tracer.trace import SideEffect

WRITE = "write:"
_KINDS = {"network": "network", "subprocess": "starting programs"}


@frozen
class Allowance:
    """`text` is what is kept; `words` read on after "Allow"."""

    text: str
    words: str

    @property
    def title(self) -> str:
        return f"Allow {self.words} for this workspace"


def is_allowance(text: str) -> bool:
    """Whether it is one that may be kept: a known kind, or a place that means the same everywhere."""
    path = text.removeprefix(WRITE)
    return text in _KINDS or (
        text.startswith(WRITE) and Path(path).is_absolute() and not _is_too_much(Path(path))
    )


def allowances(effect: SideEffect, root: Path) -> Iterator[Allowance]:
    """What would let a blocked side effect pass, the narrowest first. Signals to others never pass."""
    if effect.allowed:
        return
    if effect.kind in _KINDS:
        yield Allowance(effect.kind, _KINDS[effect.kind])
    elif effect.kind in ("write", "delete") and Path(effect.detail).is_absolute():
        path = Path(effect.detail)
        yield Allowance(f"{WRITE}{path}", f"writing {_shown(path, root)}")
        folder = path.parent
        if not _is_too_much(folder) and folder != root and folder not in root.parents:
            yield Allowance(f"{WRITE}{folder}", f"writing to {_shown(folder, root)}{os.sep}")


def with_allowances(settings: Settings, given: tuple[str, ...]) -> Settings:
    """The settings with what was allowed for the workspace."""
    more = tuple(text for text in given if text not in settings.guard.allow)
    if not more:
        return settings
    return evolve(settings, guard=evolve(settings.guard, allow=(*settings.guard.allow, *more)))


def _is_too_much(path: Path) -> bool:
    """The root of a file system, the home folder and what is above it."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.expanduser raises where there is no home
    return path == home or path in home.parents or path == path.parent


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
