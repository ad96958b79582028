"""`search`: the product's own repair search, for its budget of seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import aclosing

from backtrail_model.repair import Fix, repair, standard
from backtrail_model.study.solvers.asking import spent
from backtrail_model.study.solvers.bench import Bench, Outcome, Sample


async def search(bench: Bench) -> Outcome:
    """The last and best fix that the search offers within the budget."""
    if bench.context is None or bench.verifier is None:
        raise ValueError("this task has no tests to search with")
    began = time.monotonic()
    fixes: list[Fix] = []
    found = repair(bench.context, standard(bench.client), bench.verifier, budget_s=bench.budget_s)
    async with aclosing(found) as running:
        fixes += [fix async for fix in running]
    seconds = time.monotonic() - began
    offered = [fix for fix in fixes if fix.verdict.passed]
    best = offered[-1] if offered else None
    return Outcome(
        program=best.candidate.text if best else None,
        samples=_samples(fixes),
        verified=best is not None,
        preferred=best is not None and best.preferred,
        first_s=offered[0].seconds if offered else None,
        seconds=seconds,
        tokens=spent(bench.client),
        notes=_notes(bench, best),
    )


def _samples(fixes: Sequence[Fix]) -> tuple[Sample, ...]:
    """The fixes in the order in which they were offered; a search tries many more."""
    return tuple(Sample(fix.title, fix.candidate.text, fix.seconds, fix.verdict.passed) for fix in fixes)


def _notes(bench: Bench, best: Fix | None) -> tuple[str, ...]:
    attempts = bench.context.attempts if bench.context else None
    tried = f"{len(attempts.tried)} candidates were run" if attempts else ""
    said = [f"by {best.proposer}", *best.flags] if best else []
    return tuple(filter(None, [tried, *said, *(attempts.skipped if attempts else ())]))
