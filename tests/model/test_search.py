"""The search with scripted proposers and verifier: order, duplicates, cancel, budget, replacement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from attrs import define, field, frozen

from backtrail_model.repair import Fix, Progress, RepairContext, prepare, repair
from backtrail_model.repair.candidates import Candidate, Prompted, candidate
from backtrail_tracer.trace import Failure, Item
from tests.model.handmade import MODULE, total_recording

BUGGY = "result -= price"


@frozen
class FakeVerdict:
    items: tuple[Item, ...]
    status: str = "completed"
    seconds: float = 0.0
    cpu_s: float = 0.0
    failures: tuple[Failure, ...] = ()

    @property
    def passed(self) -> bool:
        return all(item.outcome == "passed" for item in self.items)

    @property
    def passed_count(self) -> int:
        return sum(item.outcome == "passed" for item in self.items)

    @property
    def total(self) -> int:
        return len(self.items)

    @property
    def summary(self) -> str:
        return f"passes {self.passed_count}/{self.total} tests"


@define(eq=False)
class FakeVerifier:
    """A text passes when `passes` says so. Records what was asked; `seconds` for each run."""

    passes: Callable[[str], bool]
    seconds: float = 0.0
    names: tuple[str, ...] = ("test_shop.py::test_empty", "test_shop.py::test_total")
    asked: list[tuple[str, tuple[str, ...], float]] = field(factory=list)
    cancelled: int = 0

    async def verify(
        self,
        overlay: Mapping[Path, str],
        items: Sequence[str] = (),
        *,
        wall_s: float,
        cpu_s: float | None = None,
        stop_first: bool = False,
    ) -> FakeVerdict:
        (text,) = overlay.values()
        self.asked.append((text, tuple(items), cpu_s or 0.0))
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        names = items or self.names
        outcome = "passed" if self.passes(text) else "failed"
        return FakeVerdict(tuple(Item(i, n, None, 0, outcome, 0.0) for i, n in enumerate(names)))


@define(eq=False)
class FakeProposer:
    """Proposes the replacements of the buggy statement, one each `every` seconds."""

    replacements: Sequence[str]
    every: float = 0.0
    promise: float = 0.5
    lane: str = "model"
    name: str = "fake"
    closed: bool = False

    async def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
        original = context.originals[MODULE]
        start = original.text.index(BUGGY)
        try:
            for text in self.replacements:
                await asyncio.sleep(self.every)
                made = candidate(
                    original, start, start + len(BUGGY), text, proposer=self.name, promise=self.promise
                )
                if isinstance(made, Candidate):
                    yield made
        finally:
            self.closed = True


def context(passing: int = 1) -> RepairContext:
    run = total_recording(passing)
    return prepare(run.trace(), run.failures[0], run.source_of)


async def fixes(
    *proposers: FakeProposer, verifier: FakeVerifier, passing: int = 1, **how: object
) -> list[Fix]:
    options = {"budget_s": 5.0, "settle_s": 0.2, "blind_settle_s": 0.2, "questions": 0, **how}
    found = repair(context(passing), proposers, verifier, **options)  # type: ignore[arg-type]
    async with aclosing(found) as running:
        return [fix async for fix in running]


def has(*wanted: str) -> Callable[[str], bool]:
    return lambda text: any(f"    {one}\n" in text for one in wanted)


async def test_the_first_that_passes_is_offered() -> None:
    verifier = FakeVerifier(has("result += price"))
    (fix,) = await fixes(FakeProposer(["result = price", "result += price"]), verifier=verifier)
    assert fix.title == "passes 2/2 tests, changes 1 line"
    assert fix.preferred
    assert fix.candidate.path == MODULE
    (edit,) = fix.edits
    assert (edit.start, edit.end, edit.new_text) == (5, 6, "        result += price\n")
    assert "-        result -= price\n+        result += price\n" in fix.diff


async def test_the_failing_test_comes_first_and_then_all() -> None:
    verifier = FakeVerifier(has("result += price"))
    await fixes(FakeProposer(["result = price", "result += price"]), verifier=verifier)
    assert [items for _, items, _ in verifier.asked] == [
        ("test_shop.py::test_total",),
        ("test_shop.py::test_total",),
        (),
    ]


async def test_no_candidate_is_run_twice_and_no_change_not_at_all() -> None:
    same = [
        "result = price",
        "result  =  price",
        "result = (price)",
        "result = price # why",
        BUGGY,
        "result -= (price)",
    ]
    verifier = FakeVerifier(has())
    assert await fixes(FakeProposer(same), FakeProposer(same, lane="cheap"), verifier=verifier) == []
    assert len(verifier.asked) == 1


async def test_what_does_not_parse_is_not_run() -> None:
    verifier = FakeVerifier(has())
    assert await fixes(FakeProposer(["result +=", "if price:", "\x00"]), verifier=verifier) == []
    assert verifier.asked == []


async def test_the_more_promising_is_run_first() -> None:
    verifier = FakeVerifier(has(), seconds=0.01)
    low = FakeProposer([f"result = {n}" for n in range(5)], promise=0.1, lane="cheap")
    high = FakeProposer(["result = 77"], promise=0.9)
    await fixes(low, high, verifier=verifier)
    order = [text for text, _, _ in verifier.asked]
    assert "result = 77" in order[0] + order[1]


async def test_a_smaller_fix_replaces_a_larger_one() -> None:
    verifier = FakeVerifier(has("result += price", "result = sum([result, price])"))
    proposer = FakeProposer(["result = sum([result, price])", "result += price"], every=0.02)
    found = await fixes(proposer, verifier=verifier)
    assert [fix.candidate.replacement for fix in found] == [
        "result = sum([result, price])",
        "result += price",
    ]


async def test_a_larger_fix_does_not_replace_a_smaller_one() -> None:
    verifier = FakeVerifier(has("result += price", "result = sum([result, price])"))
    proposer = FakeProposer(["result += price", "result = sum([result, price])"], every=0.02)
    assert [fix.candidate.replacement for fix in await fixes(proposer, verifier=verifier)] == [
        "result += price"
    ]


async def test_an_honest_fix_replaces_one_that_special_cases_the_test() -> None:
    cheat = "result = 1 if prices == [1, 9] else 0"
    verifier = FakeVerifier(has(cheat, "result = result + price + 0 + 0 + 0 + 0"))
    proposer = FakeProposer([cheat, "result = result + price + 0 + 0 + 0 + 0"], every=0.02)
    first, second = await fixes(proposer, verifier=verifier)
    assert not first.preferred
    assert "special-cases" in first.title
    assert second.preferred


async def test_what_a_model_says_replaces_a_blind_guess() -> None:
    verifier = FakeVerifier(has("result += price", "result = result + price"))
    blind = FakeProposer(["result += price"], lane="cheap")
    said = FakeProposer(["result = result + price"] * 3, every=0.02)
    found = await fixes(blind, said, verifier=verifier)
    assert [fix.candidate.replacement for fix in found] == ["result += price", "result = result + price"]
    assert (found[0].votes, found[-1].votes) == (0, 1)


async def test_where_many_tests_pass_a_smaller_fix_is_kept_whatever_a_model_says() -> None:
    """With two tests that run the function the model is believed, with three the tests are."""
    for passing, kept in ((1, "result = result + price"), (2, "result += price")):
        names = tuple(item.name for item in context(passing).trace.items)
        verifier = FakeVerifier(has("result += price", "result = result + price"), names=names)
        blind = FakeProposer(["result += price"], lane="cheap")
        said = FakeProposer(["result = result + price"] * 3, every=0.02)
        found = await fixes(blind, said, verifier=verifier, passing=passing)
        assert found[-1].candidate.replacement == kept


async def test_candidates_are_run_while_others_are_still_written() -> None:
    verifier = FakeVerifier(has("result += price"))
    slow = FakeProposer(["result += price", "result = 1", "result = 2"], every=0.3)
    began = time.monotonic()
    async with aclosing(repair(context(), [slow], verifier, budget_s=5)) as running:
        fix = await anext(running)
        assert time.monotonic() - began < 0.5
        assert fix.seconds < 0.5
    assert slow.closed


async def test_the_search_ends_soon_after_the_first_fix() -> None:
    verifier = FakeVerifier(has("result += price"))
    endless = FakeProposer(["result += price", *(f"result = {n}" for n in range(10_000))], every=0.001)
    began = time.monotonic()
    assert len(await fixes(endless, verifier=verifier, settle_s=0.1, budget_s=30)) == 1
    assert time.monotonic() - began < 2
    assert endless.closed


async def test_a_fix_that_nobody_seconds_waits_for_further_questions() -> None:
    """So that it has as many chances of a better one on a slow machine as on a fast one."""

    class Asks(FakeProposer):
        async def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
            async with aclosing(super().propose(context)) as candidates:
                async for one in candidates:
                    context.attempts.prompts.append(Prompted("asks", one.replacement, ""))
                    yield one

    verifier = FakeVerifier(has("result += price"))
    answers = ["result += price", *(f"result = {n}" for n in range(100))]
    told: list[Progress] = []
    how = {"blind_settle_s": 0.05, "questions": 3, "budget_s": 30.0, "on_progress": told.append}
    assert len(await fixes(Asks(answers, every=0.2), verifier=verifier, **how)) == 1
    assert told[-1].tried in (3, 4)


async def test_the_budget_ends_it() -> None:
    verifier = FakeVerifier(has(), seconds=0.01)
    endless = FakeProposer([f"result = {n}" for n in range(10_000)], every=0.001)
    began = time.monotonic()
    assert await fixes(endless, verifier=verifier, budget_s=0.3) == []
    assert time.monotonic() - began < 2
    assert endless.closed


async def test_a_hanging_proposer_does_not_hold_the_others_up() -> None:
    verifier = FakeVerifier(has("result += price"))
    hanging, quick = FakeProposer(["x"], every=60), FakeProposer(["result += price"], lane="cheap")
    assert len(await fixes(hanging, quick, verifier=verifier)) == 1
    assert hanging.closed


async def test_leaving_stops_everything() -> None:
    verifier = FakeVerifier(has(), seconds=60)
    proposer = FakeProposer(["result = 1", *["result = 2"] * 3], every=0.01)
    task = asyncio.create_task(fixes(proposer, verifier=verifier))
    while not verifier.asked:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert proposer.closed
    assert verifier.cancelled == 1


async def test_several_run_side_by_side() -> None:
    verifier = FakeVerifier(has(), seconds=0.2)
    began = time.monotonic()
    proposer = FakeProposer([f"result = {n}" for n in range(4)])
    await fixes(proposer, verifier=verifier, at_once=4)
    assert time.monotonic() - began < 0.6


async def test_trouble_in_a_proposer_is_not_swallowed() -> None:
    class Broken(FakeProposer):
        async def propose(self, context: RepairContext) -> AsyncGenerator[Candidate, None]:
            raise RuntimeError("a bug")
            yield

    with pytest.raises(RuntimeError, match="a bug"):
        await fixes(Broken([]), verifier=FakeVerifier(has()))


async def test_without_proposers_there_is_nothing() -> None:
    assert await fixes(verifier=FakeVerifier(has())) == []


async def test_progress_is_told() -> None:
    told: list[Progress] = []
    verifier = FakeVerifier(has("result += price"))
    await fixes(FakeProposer(["result = 1", "result += price"]), verifier=verifier, on_progress=told.append)
    assert [one.tried for one in told] == [1, 2]
    assert told[-1].best.startswith("passes 2/2")


async def test_the_same_answers_make_the_same_fixes() -> None:
    good = ["result += price", "result = result + price", "result = price + result"]
    verifier = FakeVerifier(has(*good))
    runs = [
        [fix.candidate.key for fix in await fixes(FakeProposer(["result = 1", *good]), verifier=verifier)]
        for _ in range(3)
    ]
    assert runs[0] == runs[1] == runs[2]


async def test_limits_fit_the_entry() -> None:
    verifier = FakeVerifier(has())
    await fixes(FakeProposer([f"result = {n}" for n in range(12)]), verifier=verifier)
    limits = [cpu_s for _, _, cpu_s in verifier.asked]
    assert limits[0] > limits[-1] > 0.1
