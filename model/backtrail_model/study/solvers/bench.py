"""What a solver is given and what it hands back."""

from __future__ import annotations

from pathlib import Path

from attrs import field, frozen

from backtrail_model.client import ModelClient
from backtrail_model.repair import RepairContext
from backtrail_model.repair.candidates import Original
from backtrail_model.repair.verdicts import Verifier
from backtrail_model.study.meter import Tokens
from backtrail_model.study.tasks import Task


@frozen
class Sample:
    """One answer. `visible` says whether the visible tests passed; None: they were not run on it."""

    answer: str
    program: str | None  # see `Outcome`; None: the answer holds none
    seconds: float = 0.0
    visible: bool | None = None


@frozen
class Outcome:
    """`program` is what is offered, `verified` when it passed the visible tests. For `output` it is the
    literal, for `explain` the number of the line that is named.

    `first_s` are the seconds until the first program that passed them.
    """

    program: str | None
    samples: tuple[Sample, ...]
    verified: bool = False
    preferred: bool = False
    first_s: float | None = None
    seconds: float = 0.0
    tokens: Tokens = field(factory=Tokens)
    notes: tuple[str, ...] = ()


@frozen
class Draws:
    """Answers to one prompt, with what they cost."""

    samples: tuple[Sample, ...]
    seconds: float
    tokens: Tokens


@frozen
class Bench:
    """One task under one representation. `facts` is what the representation says, as it goes to a prompt.

    `context`, `path` (of the program), `original` and `verifier` are those of the visible tests; None for
    `output`. For `explain` nothing is run, so there is no verifier. A program that does not parse has no
    `original`: there is nothing that an edit could be laid over.
    """

    task: Task
    facts: str
    client: ModelClient | None
    seed: int
    budget_s: float
    context: RepairContext | None = field(default=None, repr=False)
    path: Path | None = None
    original: Original | None = field(default=None, repr=False)
    verifier: Verifier | None = field(default=None, repr=False)
    known: dict[object, Draws] = field(factory=dict, repr=False)
    """Answers that were drawn already: ways that differ only in how they choose share them."""
