"""Reads a log while it is being written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import define, field

from backtrail_probe.wire import LOG_HEADER_SIZE
from backtrail_tracer.fold import Fold
from backtrail_tracer.reader import committed
from backtrail_tracer.trace import Item

_HEADS = {kind: f'["{kind}"'.encode() for kind in ("item", "done", "failure", "postmortem", "end")}
"""What a record of interest begins with; the many others are skipped without being parsed."""


@define
class Tail:
    """What has happened so far: tests that are done, a failure, the end."""

    path: Path
    failed: bool = False
    ended: bool = False
    standing: bool = False  # the program stands still at its failure, under debugpy
    _position: int = LOG_HEADER_SIZE
    _fold: Fold = field(factory=Fold)
    _told: set[int] = field(factory=set)

    def poll(self) -> list[Item]:
        """The tests that have ended since the last call."""
        for record in self._new_records():
            self.failed |= record[0] == "failure"
            self.standing |= record[0] == "postmortem"
            self.ended |= record[0] == "end"
            if record[0] in ("item", "done"):
                self._fold.add(record)
        ended = [item for item in self._fold.items() if item.outcome and item.id not in self._told]
        self._told |= {item.id for item in ended}
        return ended

    def _new_records(self) -> Iterator[list[Any]]:
        for line in self._new_bytes().split(b"\n"):
            if line.startswith(tuple(_HEADS.values())):
                try:
                    yield json.loads(line)
                except (ValueError, RecursionError):
                    continue  # the reader will call it a loose end

    def _new_bytes(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                end = LOG_HEADER_SIZE + committed(file.read(LOG_HEADER_SIZE))
                if end <= self._position:
                    return b""
                file.seek(self._position)
                data = file.read(end - self._position)
        except OSError:
            return b""
        # The count is raised after a whole record, yet the file is the program's: keep to whole lines.
        whole = data.rfind(b"\n") + 1
        self._position += whole
        return data[:whole]
