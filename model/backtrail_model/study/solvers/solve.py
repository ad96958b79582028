"""One task, one way of scaling → what is offered."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

from attrs import evolve

from backtrail_model.repair.candidates import identity
from backtrail_model.repair.verdicts import Verdict
from backtrail_model.study.conditions import Scaling, Way
from backtrail_model.study.replay import WALL_S
from backtrail_model.study.solvers.asking import TEMPERATURE, draw, opening
from backtrail_model.study.solvers.bench import Bench, Outcome, Sample
from backtrail_model.study.solvers.refine import refine
from backtrail_model.study.solvers.searching import search

Solver = Callable[[Bench, int], Awaitable[Outcome]]


async def solve(bench: Bench, scaling: Scaling) -> Outcome:
    """Raises HostError when the model cannot be asked."""
    return await _SOLVERS[scaling.way](bench, scaling.count)


async def greedy(bench: Bench, _: int) -> Outcome:
    """One answer at temperature 0, taken as it is."""
    draws = await draw(bench, opening(bench))
    return Outcome(_first(draws.samples), draws.samples, seconds=draws.seconds, tokens=draws.tokens)


async def best_of(bench: Bench, n: int) -> Outcome:
    """The program that most answers agree on; of equals the one that came first."""
    draws = await draw(bench, opening(bench), n=n, temperature=TEMPERATURE)
    return Outcome(_frequent(draws.samples), draws.samples, seconds=draws.seconds, tokens=draws.tokens)


async def best_of_verified(bench: Bench, n: int) -> Outcome:
    """The first answer that passes the visible tests; where none does, what `best_of` would take."""
    draws = await draw(bench, opening(bench), n=n, temperature=TEMPERATURE)
    began, ran, first_s = time.monotonic(), [], None
    seen: dict[str, bool] = {}
    for sample in draws.samples:
        if sample.program is not None and sample.program not in seen:
            seen[sample.program] = (await run(bench, sample.program)).passed
        passed = seen.get(sample.program or "")
        ran.append(evolve(sample, visible=passed))
        if passed and first_s is None:
            first_s = sample.seconds + time.monotonic() - began
    chosen = next((sample.program for sample in ran if sample.visible), None)
    return Outcome(
        program=chosen if chosen is not None else _frequent(ran),
        samples=tuple(ran),
        verified=chosen is not None,
        preferred=chosen is not None,
        first_s=first_s,
        seconds=draws.seconds + time.monotonic() - began,
        tokens=draws.tokens,
    )


async def run(bench: Bench, program: str) -> Verdict:
    """The visible tests on a program, run as a candidate of the search is."""
    if bench.verifier is None or bench.path is None:
        raise ValueError("this task has no tests to run")
    return await bench.verifier.verify({bench.path: program}, wall_s=WALL_S)


async def _refine(bench: Bench, rounds: int) -> Outcome:
    return await refine(bench, rounds, run)


async def _search(bench: Bench, _: int) -> Outcome:
    return await search(bench)


_SOLVERS: Mapping[Way, Solver] = {
    "greedy": greedy,
    "best-of": best_of,
    "best-of-verified": best_of_verified,
    "refine": _refine,
    "search": _search,
}


def _first(samples: Sequence[Sample]) -> str | None:
    return samples[0].program if samples else None


def _frequent(samples: Sequence[Sample]) -> str | None:
    programs = [sample.program for sample in samples if sample.program is not None]
    counts = Counter(map(_same, programs))
    return max(programs, key=lambda text: counts[_same(text)], default=None)


def _same(program: str) -> str:
    """The same for programs that differ in layout only."""
    try:
        return identity(program)
    except (SyntaxError, ValueError):
        return program
