"""How long one verification of a two-test file takes: forked from a stage, from a warm worker, and in a fresh
interpreter.

python -m bench.verify [ROUNDS]
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from backtrail_model.study.machine import describe
from backtrail_tracer.entries import NoEntry, discover
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.session import Session
from backtrail_tracer.verify import Verifier

BUGGY = "def mean(xs):\n    return sum(xs) / len(xs)\n"
FIXED = "def mean(xs):\n    return sum(xs) / len(xs) if xs else 0\n"
TESTS = """
from stats import mean

def test_a():
    assert mean([3, 5]) == 4

def test_b():
    assert mean([]) == 0
"""


HOW: dict[str, dict[str, bool]] = {
    "forked from a stage": {},
    "forked from a warm worker": {"use_stages": False},
    "fresh interpreter": {"use_fork": False},
}


async def milliseconds(work: Callable[[], Awaitable[object]], rounds: int) -> str:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - started) * 1000)
    return f"{statistics.median(taken):.0f} | {min(taken):.0f} | {max(taken):.0f}"


async def measure(root: Path, rounds: int) -> None:
    (root / "stats.py").write_text(BUGGY)
    (root / "test_stats.py").write_text(TESTS)
    entries = discover(root / "stats.py", root)
    assert not isinstance(entries, NoEntry)
    session = Session(Interpreter(Path(sys.executable), "the one of the benchmark"), root)
    print(f"{describe('pytest')}; {rounds} rounds\n")
    print("| one verification of two tests | median ms | best | worst | its CPU, ms |\n|---|---|---|---|---|")
    for how, options in HOW.items():
        started = time.perf_counter()
        async with Verifier(session, entries[0], **options) as verifier:
            warm = (time.perf_counter() - started) * 1000
            for text, passes in ((FIXED, True), (BUGGY, False)):
                cpu: list[float] = []

                async def one(
                    verifier: Verifier = verifier,
                    text: str = text,
                    passes: bool = passes,
                    cpu: list[float] = cpu,
                ) -> None:
                    verdict = await verifier.verify({root / "stats.py": text}, wall_s=60)
                    assert verdict.passed == passes, verdict
                    cpu.append(verdict.cpu_s * 1000)

                await one()  # the stage is prepared, and a fork's CPU limit does not count that
                taken = await milliseconds(one, rounds)
                spent = f"{statistics.median(cpu[1:]):.0f}" if cpu[-1] else "-"
                what = "passes" if passes else "fails"
                print(f"| {how} (ready after {warm:.0f} ms), {what} | {taken} | {spent} |", flush=True)

    async def plain() -> None:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_stats.py"]
        await asyncio.to_thread(subprocess.run, command, cwd=root, capture_output=True, check=False)

    print(f"| plain `python -m pytest` | {await milliseconds(plain, rounds)} | - |")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder).resolve(), rounds))


if __name__ == "__main__":
    main()
