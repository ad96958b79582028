"""Candidates that pass, fail, loop and crash, run by the real worker; and in fresh interpreters."""

from __future__ import annotations

import asyncio
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from backtrail_probe.wire import ProcessLimits
from backtrail_tracer.entries import Entry
from backtrail_tracer.session import Session
from backtrail_tracer.trace import Item
from backtrail_tracer.verify import Verdict, Verifier
from tests.tracer.conftest import marked
from tests.tracer.trees import fingerprint, write

BUGGY = "def mean(xs):\n    return sum(xs) / len(xs)\n"
FIXED = "def mean(xs):\n    return sum(xs) / len(xs) if xs else 0\n"
LOOPS = "def mean(xs):\n    while True: pass\n"
DIES = "import os\ndef mean(xs):\n    os._exit(3)\n"
CRASHES = "import ctypes\ndef mean(xs):\n    ctypes.string_at(0)\n"
BROKEN = "def mean(xs:\n"
RAISES = "raise RuntimeError('at import')\n"
EXITS = "import sys\nsys.exit(0)\n"
PRINTS = "import sys\ndef mean(xs):\n    while True: print('x' * 1000)\n"
DELETES = "import os\ndef mean(xs):\n    os.remove('precious.txt')\n    return 4\n"

TESTS = """
    from stats import mean

    def test_mean():
        assert mean([3, 5]) == 4

    def test_one():
        assert mean([1]) == 1

    def test_empty():
        assert mean([]) == 0
"""


def entry_of(root: Path) -> Entry:
    target = str(root / "test_stats.py")
    return Entry("pytest:test_stats.py", "pytest", (target,), (), root, "", "", (root / "stats.py",))


@pytest.fixture(params=["fork", "fresh"])
async def verifier(request: pytest.FixtureRequest, session: Session) -> AsyncIterator[Verifier]:
    root = write(session.root, {"stats.py": BUGGY, "test_stats.py": TESTS, "precious.txt": "keep"})
    before = fingerprint(root)
    async with Verifier(session, entry_of(root), use_fork=request.param == "fork") as made:
        if request.param == "fork":
            assert made.reason == "forked from a warm worker"
        yield made
    assert fingerprint(root) == before, "nothing of the user's may be written"


def over(verifier: Verifier, source: str) -> dict[Path, str]:
    return {verifier.session.root / "stats.py": source}


async def outcome(verifier: Verifier, source: str, wall_s: float = 30.0) -> Verdict:
    return await verifier.verify(over(verifier, source), wall_s=wall_s)


async def test_a_candidate_that_passes(verifier: Verifier) -> None:
    verdict = await outcome(verifier, FIXED)
    assert verdict.passed, verdict
    assert (verdict.passed_count, verdict.total, verdict.summary) == (3, 3, "passes 3/3 tests")


async def test_a_candidate_that_fails_says_where(verifier: Verifier) -> None:
    verdict = await outcome(verifier, BUGGY)
    assert not verdict.passed
    assert verdict.summary == "passes 2/3 tests"
    assert verdict.failures[0].type == "ZeroDivisionError"
    assert verdict.failures[0].where is not None and verdict.failures[0].where.line == 2


async def test_a_candidate_that_loops_is_ended(verifier: Verifier) -> None:
    started = time.monotonic()
    verdict = await outcome(verifier, LOOPS, 0.5)
    assert time.monotonic() - started < 4
    assert (verdict.passed, verdict.status, verdict.passed_count) == (False, "timeout", 0)


@pytest.mark.parametrize(
    "source",
    [DIES, CRASHES, BROKEN, RAISES, EXITS, DELETES],
    ids=["dies", "crashes", "broken", "raises", "exits", "deletes"],
)
async def test_a_candidate_that_ends_badly_has_not_passed(source: str, verifier: Verifier) -> None:
    verdict = await outcome(verifier, source)
    assert not verdict.passed
    assert (await outcome(verifier, FIXED)).passed, "the next one is not harmed"


async def test_a_candidate_that_prints_without_end_is_ended(verifier: Verifier) -> None:
    assert not (await outcome(verifier, PRINTS, 0.5)).passed
    assert (await outcome(verifier, FIXED)).passed


async def test_only_the_tests_that_are_asked_for_are_run(verifier: Verifier) -> None:
    everything = await outcome(verifier, BUGGY)
    names = [item.name for item in everything.items]
    verdict = await verifier.verify(over(verifier, BUGGY), names[:1], wall_s=30)
    assert [item.name for item in verdict.items] == names[:1]
    assert verdict.passed and verdict.summary == "passes 1/1 test"


async def test_a_test_that_was_asked_for_and_is_gone_has_not_passed(verifier: Verifier) -> None:
    name = f"{verifier.entry.target[0]}::test_gone"
    verdict = await verifier.verify(over(verifier, FIXED), [name], wall_s=30)
    assert not verdict.passed


async def test_a_test_is_found_when_pytest_has_a_root_of_its_own(session: Session) -> None:
    """Names are relative to pytest's root folder, which is not the workspace here."""
    files = {"one/pytest.ini": "[pytest]\n", "one/stats.py": BUGGY, "one/tests/conftest.py": ""}
    root = write(session.root, {**files, "one/conftest.py": "", "one/tests/test_stats.py": TESTS})
    target = str(root / "one/tests/test_stats.py")
    entry = Entry("e", "pytest", (target,), (), root, "", "", ())
    async with Verifier(session, entry) as verifier:
        everything = await verifier.verify({root / "one/stats.py": FIXED}, wall_s=30)
        names = [item.name for item in everything.items]
        assert names[0] == "tests/test_stats.py::test_mean"
        verdict = await verifier.verify({root / "one/stats.py": FIXED}, names[:2], wall_s=30)
        assert verdict.summary == "passes 2/2 tests"


async def test_it_can_stop_at_the_first_failure(verifier: Verifier) -> None:
    source = "def mean(xs):\n    raise ValueError\n"
    verdict = await verifier.verify(over(verifier, source), wall_s=30, stop_first=True)
    assert len(verdict.items) == 1


async def test_candidates_do_not_see_each_other(verifier: Verifier) -> None:
    sources = [f"def mean(xs):\n    return {n}\n" for n in (4, 1, 0)]
    verdicts = await asyncio.gather(*(outcome(verifier, source) for source in sources))
    passed = [[item.name.split("::")[-1] for item in v.items if item.outcome == "passed"] for v in verdicts]
    assert passed == [["test_mean"], ["test_one"], ["test_empty"]]


async def test_a_cancelled_verification_leaves_nothing(verifier: Verifier) -> None:
    await outcome(verifier, FIXED)  # what waits for the next candidate is there to stay
    before = len(marked(str(verifier.session.root)))
    task = asyncio.create_task(outcome(verifier, LOOPS, 30))
    await asyncio.sleep(0.4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.1)
    assert len(marked(str(verifier.session.root))) <= before
    assert (await outcome(verifier, FIXED)).passed


async def test_a_worker_that_was_killed_is_replaced(session: Session) -> None:
    root = write(session.root, {"stats.py": BUGGY, "test_stats.py": TESTS})
    async with Verifier(session, entry_of(root)) as verifier:
        assert (await outcome(verifier, FIXED)).passed
        for process in marked(str(root)):
            with suppress(psutil.NoSuchProcess):  # one goes with another
                process.kill()
        await asyncio.sleep(0.1)
        assert (await outcome(verifier, FIXED)).passed
        assert verifier.reason == "forked from a warm worker"


async def test_a_candidate_that_takes_too_much_memory_is_ended(session: Session) -> None:
    root = write(session.root, {"stats.py": BUGGY, "test_stats.py": TESTS})
    source = "def mean(xs):\n    kept = []\n    while True: kept.append(bytearray(b'1') * 10_000_000)\n"
    limits = ProcessLimits(memory_bytes=400 * 2**20)
    async with Verifier(session, entry_of(root), process_limits=limits) as verifier:
        assert not (await outcome(verifier, source)).passed
        assert (await outcome(verifier, FIXED)).passed


async def test_doctests_are_verified_too(session: Session) -> None:
    source = textwrap.dedent('''
        def double(x):
            """
            >>> double(2)
            4
            """
            return x + 1
    ''')
    path = write(session.root, {"a.py": source}) / "a.py"
    entry = Entry("doctest:a.py", "doctest", (str(path),), (), session.root, "", "", (path,))
    async with Verifier(session, entry) as verifier:
        assert not (await verifier.verify({}, wall_s=30)).passed
        assert (await verifier.verify({path: source.replace("x + 1", "x * 2")}, wall_s=30)).passed


def item(name: str, result: str | None) -> Item:
    return Item(1, name, None, 0, result, 0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcomes", "status", "asked", "passed", "summary"),
    [
        ({"a": "passed"}, "completed", (), True, "passes 1/1 test"),
        ({"a": "passed", "b": "skipped"}, "completed", (), True, "passes 1/1 test"),
        ({"a": "passed", "b": "failed"}, "failed", (), False, "passes 1/2 tests"),
        ({"a": "passed", "b": None}, "timeout", (), False, "stopped (1/2 tests passed)"),
        ({}, "completed", (), False, "passes 0/0 tests"),
        ({"a": "skipped"}, "completed", (), False, "passes 0/0 tests"),
        ({"a": "passed"}, "completed", ("a", "b"), False, "passes 1/2 tests"),
        ({"a": "passed"}, "completed", ("a",), True, "passes 1/1 test"),
        ({"a": "passed"}, "died", (), False, "stopped (1/1 test passed)"),
    ],
)
def test_what_passing_means(
    outcomes: dict[str, str | None], status: str, asked: tuple[str, ...], passed: bool, summary: str
) -> None:
    items = tuple(item(name, result) for name, result in outcomes.items())
    verdict = Verdict(items, status, 0.1, (), "stopped", asked)  # type: ignore[arg-type]
    assert (verdict.passed, verdict.summary) == (passed, summary)
