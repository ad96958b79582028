"""What is known of an adapter beside its weights: from what it was made, and whether it learnt anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

NOTE = "backtrail-tune.json"
VERSION = 1


@frozen
class Note:
    """`learnt` are the ids of the triples that were learnt from, `held` of those that only measured."""

    model: str
    representation: str
    learnt: tuple[str, ...]
    held: tuple[str, ...]
    losses: tuple[float, ...]  # of each step
    held_before: float | None
    held_after: float | None
    recipe: dict[str, Any]
    machine: str

    def write(self, folder: Path) -> None:
        text = json.dumps({"version": VERSION, **asdict(self)}, indent=1)
        (folder / NOTE).write_text(text + "\n", encoding="utf-8")


def learnt(folder: Path) -> frozenset[str]:
    """The ids that an adapter has learnt from; none when nothing is known of it."""
    try:
        return frozenset(json.loads((folder / NOTE).read_text(encoding="utf-8"))["learnt"])
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
