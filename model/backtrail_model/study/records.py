"""Everything that was measured, one JSON object a line, on disk as soon as it is known.

A study can be stopped at any moment, by a crash too: what was done is kept and not done again.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from attrs import asdict, define, field, frozen

from backtrail_model.study.conditions import Condition
from backtrail_model.study.explained import Claims
from backtrail_model.study.solvers import Outcome

SAMPLES = "samples.jsonl"
MANIFEST = "study.json"
VERSION = 1

Key = tuple[str, str, str, str, str]
Manifest = Mapping[str, Any]


class RecordsError(Exception):
    """The folder cannot be used for this study; the message says why and what to do."""


@frozen
class Cell:
    """One item under one condition, judged. `oracle`: any of its samples is right.

    `claims` counts the sentences of explanations by how they stand: "cited", "checked", "guess", "dropped".
    """

    item: str
    model: str
    representation: str
    scaling: str
    control: str
    right: bool
    offered: bool
    verified: bool
    preferred: bool
    oracle: bool
    first_s: float | None
    seconds: float
    prompt_tokens: int
    output_tokens: int
    requests: int
    exact_tokens: bool
    notes: tuple[str, ...] = ()
    samples: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    claims: Mapping[str, int] = field(factory=dict)

    @property
    def key(self) -> Key:
        return (self.item, self.model, self.representation, self.scaling, self.control)

    @classmethod
    def of(
        cls,
        item: str,
        condition: Condition,
        outcome: Outcome,
        right: Sequence[bool],
        offer: bool,
        *,
        claims: Sequence[Claims] = (),
    ) -> Cell:
        """`right` says of each sample whether it is, `offer` of what was offered; `claims` how the sentences
        of each stand, where they are explanations."""
        told: list[dict[str, Any]] = [{"claims": asdict(one)} for one in claims] or [{} for _ in right]
        samples = tuple(
            {**asdict(sample), "right": is_right, **more}
            for sample, is_right, more in zip(outcome.samples, right, told, strict=True)
        )
        tokens = outcome.tokens
        return cls(
            item=item,
            model=condition.model,
            representation=condition.representation,
            scaling=str(condition.scaling),
            control=condition.control,
            right=offer,
            offered=outcome.program is not None,
            verified=outcome.verified,
            preferred=outcome.preferred,
            oracle=offer or any(right),
            first_s=outcome.first_s,
            seconds=outcome.seconds,
            prompt_tokens=tokens.prompt,
            output_tokens=tokens.output,
            requests=tokens.requests,
            exact_tokens=tokens.exact,
            notes=outcome.notes,
            samples=samples,
            claims=dict(sum((one.counts for one in claims), Counter[str]())),
        )


@define(eq=False)
class Records:
    """The records of one study, open for more. A context manager."""

    folder: Path
    cells: dict[Key, Cell] = field(factory=dict)
    unusable: dict[str, str] = field(factory=dict)
    usable: set[str] = field(factory=set)
    baselines: dict[str, Mapping[str, float]] = field(factory=dict)  # by item, see `explained.py`
    _file: TextIO | None = None

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, *, resume: bool) -> Records:
        """Raises RecordsError when there are records already and `resume` is not set, or when those are of
        another study."""
        path = folder / SAMPLES
        if path.exists() and not resume:
            raise RecordsError(f"{folder} holds a study already: go on with --resume, or name another --out")
        folder.mkdir(parents=True, exist_ok=True)
        _check_manifest(folder / MANIFEST, manifest)
        records = cls(folder)
        records._load(path)
        records._file = path.open("a", encoding="utf-8")
        return records

    @classmethod
    def read(cls, folder: Path) -> Records:
        """The records of a folder, for a report. Nothing can be added."""
        records = cls(folder)
        records._load(folder / SAMPLES, cut=False)
        return records

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, cell: Cell) -> None:
        self.cells[cell.key] = cell
        self._write({"kind": "cell", **asdict(cell)})

    def add_unusable(self, item: str, reason: str) -> None:
        self.unusable[item] = reason
        self._write({"kind": "unusable", "item": item, "reason": reason})

    def add_usable(self, item: str) -> None:
        """The item was replayed and its hidden tests tell right from wrong."""
        if item not in self.usable:
            self.usable.add(item)
            self._write({"kind": "usable", "item": item})

    def add_baselines(self, item: str, scores: Mapping[str, float]) -> None:
        """What a line that is named without a model is worth."""
        self.baselines[item] = scores
        self._write({"kind": "baselines", "item": item, "scores": dict(scores)})

    def _write(self, row: Mapping[str, Any]) -> None:
        if self._file is None:
            raise RecordsError(f"{self.folder} is open for reading only")
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _load(self, path: Path, *, cut: bool = True) -> None:
        for row in _rows(path, cut):
            kind = row.pop("kind", "")
            if kind == "cell":
                cell = Cell(**{**row, "notes": tuple(row["notes"]), "samples": tuple(row["samples"])})
                self.cells[cell.key] = cell
            elif kind == "unusable":
                self.unusable[row["item"]] = row["reason"]
            elif kind == "usable":
                self.usable.add(row["item"])
            elif kind == "baselines":
                self.baselines[row["item"]] = row["scores"]


def _rows(path: Path, cut: bool) -> Iterator[dict[str, Any]]:
    """The whole lines of a file. With `cut`, what a crash left of a last line is taken away."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if cut and whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
    for number, line in enumerate(data[:whole].decode("utf-8").splitlines(), 1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise RecordsError(f"{path}, line {number} is damaged: {error}") from error


def _check_manifest(path: Path, manifest: Manifest) -> None:
    """Records of one folder are comparable: the same data, task and seed throughout."""
    wanted = {"version": VERSION, **manifest}
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        other = [name for name in wanted if name != "machine" and found.get(name) != wanted[name]]
        if other:
            raise RecordsError(
                f"{path.parent} holds a study with another {', '.join(other)}: name another --out"
            )
        return
    path.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
