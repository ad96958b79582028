"""One item of a data set, in two parts: what a solver may see, and what only the judge may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

Kind = Literal["repair", "output", "explain"]

RIGHT: Mapping[Kind, str] = {
    "repair": "right by the hidden tests",
    "output": "the value that the call returns",
    "explain": "names a line that the reference fix changes",
}
"""What makes an answer right, in a few words."""


@frozen
class Task:
    """What a solver may see. There is nothing of the hidden tests in it, and solvers get nothing else.

    For `repair`, `source` is a program that fails one of `tests`: the bodies of test functions, one each.
    For `output`, `source` is a program with a function `f`, and `call` the call whose result is asked for.
    `explain` is as `repair`, but it is asked which line is wrong, and why.
    """

    id: str
    kind: Kind
    source: str = field(repr=False)
    entry_point: str
    tests: tuple[str, ...] = field(default=(), repr=False)
    call: str = ""


@frozen
class Secret:
    """What only the judge may see: a script that raises when the program before it is wrong, or the
    literal that the call returns. `reference` is a right program where the data set has one; it serves to
    check the data, to judge explanations and to train, never to solve."""

    hidden: str = field(repr=False)
    reference: str = field(default="", repr=False)


@frozen
class Item:
    """A task with its secret."""

    task: Task
    secret: Secret

    @property
    def id(self) -> str:
        return self.task.id
