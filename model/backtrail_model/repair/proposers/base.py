"""What every proposer is: something that turns the context into candidates, one after another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Literal, Protocol

from backtrail_model.repair.candidates import Candidate, Rejected
from backtrail_model.repair.context import RepairContext

Lane = Literal["cheap", "model"]


class Proposer(Protocol):
    """Proposers of the same lane take turns in the order they were given; the lanes run side by side.

    Closing the generator must stop all work at once, a request to a model included.
    """

    @property
    def name(self) -> str: ...

    @property
    def lane(self) -> Lane: ...

    def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]: ...


def accepted(made: Candidate | Rejected) -> Iterator[Candidate]:
    """The candidate, if it is one."""
    if isinstance(made, Candidate):
        yield made
