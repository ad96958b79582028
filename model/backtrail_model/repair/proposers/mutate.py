"""Near neighbours of the suspicious statements. No model: thousands a second, so they come at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping

from attrs import frozen

from backtrail_model.evidence.facts import DULL_TYPES
from backtrail_model.repair.candidates import Candidate, candidate
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.edits import Edit, edits
from backtrail_model.repair.proposers.base import Lane, accepted
from backtrail_model.repair.suspects import Suspect

CHANCE = 0.15
"""How much less likely a blind edit is right than an answer of a model for the same statement."""


@frozen
class Mutations:
    """`most` bounds the candidates of one run; those of the most suspicious statements come first."""

    most: int = 400
    name: str = "mutation"
    lane: Lane = "cheap"

    async def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
        ranked = sorted(_all(context), key=lambda pair: -pair[0].score * pair[1].weight)
        for suspect, edit in ranked[: self.most]:
            for one in _made(context, suspect, edit):
                yield one
            # Parsing takes a millisecond or so: let the verifier and the model's answers have a turn.
            await asyncio.sleep(0)


def _all(context: RepairContext) -> Iterator[tuple[Suspect, Edit]]:
    for suspect in context.suspects:
        source = context.originals[suspect.path].source
        for edit in edits(source, suspect, _variables(context, suspect)):
            yield suspect, edit


def _made(context: RepairContext, suspect: Suspect, edit: Edit) -> Iterator[Candidate]:
    yield from accepted(
        candidate(
            context.originals[suspect.path],
            edit.start,
            edit.end,
            edit.replacement,
            proposer="mutation",
            note=f"line {suspect.line}: {edit.note}",
            promise=CHANCE * suspect.score * edit.weight,
        )
    )


def _variables(context: RepairContext, suspect: Suspect) -> Mapping[str, str]:
    """The variables of the frame that ran the statement last, with their recorded types."""
    hits = context.trace.lines(suspect.path).get(suspect.line, ())
    if not hits:
        return {}
    frame = context.trace.frames[hits[-1].frame]
    types = {name: value.type for name, value in frame.arguments.items()}
    for hit in context.history.hits(frame.id):
        types.update({name: value.type for name, value in hit.changed.items()})
    return {name: kind for name, kind in types.items() if kind not in DULL_TYPES and name.isidentifier()}
