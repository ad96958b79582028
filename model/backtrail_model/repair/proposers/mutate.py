"""Near neighbours of the suspicious statements. No model: thousands a second, so they come at once."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping

from attrs import frozen

from backtrail_model.evidence.facts import DULL_TYPES
from backtrail_model.repair.candidates import Candidate, candidate
from backtrail_model.repair.context import RepairContext
from backtrail_model.repair.edits import Edit, edits
from backtrail_model.repair.edits.scope import scope_of
from backtrail_model.repair.flags import EVERYDAY
from backtrail_model.repair.proposers.base import Lane, accepted
from backtrail_model.repair.suspects import Suspect

CHANCE = 0.15
"""How much less likely a blind edit is right than an answer of a model for the same statement."""
ALL = 0.5
"""About so many bugs are one of these edits away from a program that passes."""
MOST_SUSPECTS = 150


@frozen
class Mutations:
    """`most` bounds the candidates of one run; those of the most suspicious statements come first."""

    most: int = 1500
    name: str = "mutation"
    lane: Lane = "cheap"

    async def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
        pairs: list[tuple[Suspect, Edit]] = []
        for suspect in context.suspects[:MOST_SUSPECTS]:
            pairs += edits_of(context, suspect)
            await asyncio.sleep(0)
        pairs.sort(key=lambda pair: -pair[0].score * pair[1].weight)
        whole = sum(suspect.score * edit.weight for suspect, edit in pairs)
        for suspect, edit in pairs[: self.most]:
            for one in made(context, suspect, edit, whole):
                yield one
            # Parsing takes a millisecond or so: let the verifier and the model's answers have a turn.
            await asyncio.sleep(0)


def edits_of(context: RepairContext, suspect: Suspect) -> Iterator[tuple[Suspect, Edit]]:
    """All edits of a statement, those that are right most often first."""
    source = context.originals[suspect.path].source
    scope = scope_of(source, suspect, _variables(context, suspect), _everyday(context))
    seen: set[tuple[int, int, str]] = set()
    for edit in sorted(edits(source, suspect, scope), key=lambda edit: -edit.weight):
        if (edit.start, edit.end, edit.replacement) not in seen:
            seen.add((edit.start, edit.end, edit.replacement))
            yield suspect, edit


def made(context: RepairContext, suspect: Suspect, edit: Edit, whole: float) -> Iterator[Candidate]:
    """The candidate of an edit; its chance is its share of the `whole` weight of all edits."""
    weight = suspect.score * edit.weight
    yield from accepted(
        candidate(
            context.originals[suspect.path],
            edit.start,
            edit.end,
            edit.replacement,
            proposer="mutation",
            note=f"line {suspect.line}: {edit.note}",
            promise=CHANCE * weight,
            chance=ALL * weight / whole,
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


def _everyday(context: RepairContext) -> str:
    """What the test expected, if that is a value which many programs hold: 0, an empty list."""
    expected = context.failure.expected
    try:
        value = ast.literal_eval(expected.text) if expected is not None else ...
    except (ValueError, SyntaxError):
        return ""
    common = value in ([], {}, ()) or value is None or any(value is each for each in (True, False))
    return repr(value) if common or value in EVERYDAY else ""
