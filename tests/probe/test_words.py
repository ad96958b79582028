"""Where every hit is kept most hits are told by words. The trace is the same as one that texts tell of."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from backtrail_probe.wire import WORDS, RecordLimits
from backtrail_tracer.words import read_words
from tests import pythons
from tests.probe.harness import LAUNCH, make_spec, python, read_log, run_probe, write_files
from tests.probe.programs import programs
from tests.probe.test_parity import events, quick, run

ALL = RecordLimits(hits_per_line=0, calls_per_function=0, events=0, depth=0)
WITH_WORDS = [f"{major}.{minor}" for major, minor in sorted(pythons.found()) if minor >= 13]

pytestmark = pytest.mark.skipif(not WITH_WORDS, reason="no Python that tells by words")

PROGRAMS = {
    "ints": """
        def work():
            small, large, edge = 0, 1, -(1 << 63)
            for n in range(200):
                small = n // 7
                large = large * 3 + n
                edge += 1 << 57
            return large
        work()
    """,
    "floats": """
        def work():
            half, zero, odd, whole = 0.5, 0.0, 1.0, 0
            for n in range(200):
                half = n / 2 * 2 / 2
                zero = -zero
                zero = zero * 1.0
                odd = float("nan") if n % 3 else float("inf")
                odd = odd * 1.0
                whole = n if n % 2 else float(n)
                whole = float(whole)
                whole = int(whole)
            return half
        work()
    """,
    "texts": """
        def work():
            word, flag, nothing, kind = "", False, None, b""
            for n in range(200):
                word = "ab"[n % 2] * (n % 5)
                flag = n % 3 == 0
                nothing = None if flag else word
                nothing = n if flag else nothing
                kind = b"x" * (n % 4)
                word = "é" + str(n)
            return word
        work()
    """,
    "several at once": """
        def work():
            a, b, c = 1, 2.0, "x"
            for n in range(100):
                a, b, c = n, n / 3, c
                a, b, c = b, a, str(n)
                a = b = c = n % 2
                first = second = third = fourth = fifth = sixth = seventh = eighth = n
                first = second = third = fourth = fifth = sixth = seventh = eighth = ninth = n
            return a
        work()
    """,
    "mutable": """
        def work(items):
            total = 0
            for n in range(200):
                total += n
                if n == 50:
                    kept = items
                if 60 < n < 90:
                    kept.append(n)
                if n == 90:
                    kept = 7
                    items = 8
            return total
        work([])
    """,
    "deleted": """
        def work():
            x = 1
            for n in range(100):
                y = n
                if n % 10 == 0:
                    del x
                    x = n
                    del y
            return x
        work()
    """,
    "exceptions": """
        def inner(n):
            if n % 7 == 0:
                raise ValueError(n)
            return n
        def work():
            good = bad = 0
            for n in range(150):
                try:
                    good += inner(n)
                    if n % 5 == 0:
                        n / 0
                except ValueError:
                    bad += 1
                except ZeroDivisionError as error:
                    bad += 2
                finally:
                    done = n
            return good, bad
        work()
    """,
    "calls": """
        def twice(x):
            y = x
            y = y * 2
            return y
        def down(n):
            left = n
            below = down(n - 1) if n else 0
            left = left + below
            return left
        def work():
            total = 0
            for n in range(60):
                total += twice(n)
                total -= twice(total) % 5
                total += down(4)
            return total
        work()
    """,
    "generators": """
        def numbers(n):
            last = 0
            for each in range(n):
                last = each
                got = yield last
            return last
        def work():
            one, total = numbers(80), 0
            for n in numbers(70):
                total += n
                total += next(one)
            both = sum(x * 2 for x in numbers(50))
            return total + both
        work()
    """,
    "behind the bytecode": """
        import sys
        def change(frame):
            frame.f_locals["seen"] = frame.f_locals["n"]
        def work():
            seen = n = 0
            for n in range(3000):
                m = n
                if n % 100 == 0:
                    change(sys._getframe())
                    seen
            return seen
        work()
    """,
    "a thread": """
        import threading
        def count(to):
            total = 0
            for n in range(to):
                total += n
            return total
        def work():
            kept = 0
            for n in range(60):
                kept += n
                if n == 30:
                    other = threading.Thread(target=count, args=(100,))
                    other.start(), other.join()
                    del other
            return kept
        count(50)
        work()
        count(50)
    """,
    "late lines": """
        def work():
            total = 0
            for n in range(100):
                total += n
            if total:
                total = -total
            return total
        for again in range(3):
            work()
    """,
}


def traces(folder: Path, source: str, version: str) -> tuple[list[Any], list[Any], int]:
    """The events by words and by texts, and the number of words. What differs by nature is left out: a thread
    shows its number, and what changed behind the bytecode is told when all variables are looked at again."""
    told = {}
    for recorder in ("monitoring", "settrace"):
        ran = run_probe(folder, source, version=version, recorder=recorder, record_limits=ALL)
        assert ran.end["status"] == "completed", ran.err
        assert not [record for record in ran.of("limit") if "error" in record[1]]
        for record in ran.records:
            for values in (each for each in record if isinstance(each, dict)):
                values.pop("other", None)
                values.pop("seen", None)
        told[recorder] = events(ran)
        if recorder == "monitoring":
            words = len(read_words(folder / "project-scratch" / "log").heads)
    return told["monitoring"], told["settrace"], words


@pytest.mark.parametrize("version", WITH_WORDS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_words_and_texts_tell_the_same(tmp_path: Path, name: str, version: str) -> None:
    by_words, by_texts, words = traces(tmp_path, PROGRAMS[name], version)
    assert words > 50, "nothing was told by words"
    assert by_words == by_texts


@quick
@given(programs())
def test_any_program(source: str) -> None:
    often = source.replace("try:\n    work()", "for again in range(40):\n  try:\n    work()").replace(
        "except Exception:\n    pass\n", "  except Exception:\n    pass\n"
    )
    found = [events(run([often], WITH_WORDS[-1], recorder, ALL)) for recorder in ("monitoring", "settrace")]
    assert found[0] == found[1]


def test_hits_begin_anew_in_each_test(tmp_path: Path) -> None:
    source = """
        def count(to):
            total = 0
            for n in range(to):
                total += n
            return total
        def one():
            '''
            >>> count(100)
            4950
            '''
        def two():
            '''
            >>> count(50)
            1225
            '''
    """
    ran = run_probe(tmp_path, source, "doctest", WITH_WORDS[-1], record_limits=ALL)
    assert list(ran.outcomes.values()) == ["passed", "passed"]
    loops = [record[3] for record in ran.of("line") if record[2] == 5]
    assert loops == [*range(1, 101), *range(1, 51)]


def test_the_last_hit_before_a_kill_is_known(tmp_path: Path) -> None:
    source = """
        import os, signal
        def work():
            n = 0
            while True:
                n += 1
                if n == 10007:
                    os.kill(os.getpid(), signal.SIGKILL)
        work()
    """
    ran = run_probe(tmp_path, source, version=WITH_WORDS[-1], record_limits=ALL)
    assert ran.code == -signal.SIGKILL
    lines = [record for record in ran.of("line") if record[2] in (6, 7, 8)]
    assert [record[2] for record in lines[-3:]] == [6, 7, 8]
    assert [record[5] for record in lines[-2:]] == [{"n": ["int", "10007"]}, {}]
    assert lines[-2][3] == 10007


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_at_any_time(tmp_path: Path) -> None:
    """Whenever it comes: no hit is lost in the middle, and nothing makes no sense."""
    body = """
        def f():
            n = 0
            while True:
                n += 1
                m = n / 2
        print("go", flush=True)
        f()
    """
    folder = tmp_path / "project"
    write_files(folder, {"main.py": body})
    for delay in (0.05, 0.08, 0.13):
        spec = make_spec(folder, "script", "main.py", record_limits=ALL)
        program = subprocess.Popen([python(WITH_WORDS[-1]), str(LAUNCH), str(spec)], stdout=subprocess.PIPE)
        assert program.stdout is not None and program.stdout.readline() == b"go\n"
        time.sleep(delay)
        program.kill()
        program.communicate()
        told = [r for r in read_log(spec.parent / "log") if r[0] == "line" and "n" in r[5]]
        assert [r[5]["n"][1] for r in told] == [str(n) for n in range(len(told))]
        assert len(told) > 1000


def test_the_limits_hold(tmp_path: Path) -> None:
    source = "def f():\n    n = 0\n    while n < 200_000:\n        n += 1\nf()\n"
    for events_kept in (50, 1000, 12_345):
        limits = RecordLimits(hits_per_line=0, calls_per_function=0, events=events_kept)
        ran = run_probe(tmp_path, source, version=WITH_WORDS[-1], record_limits=limits)
        kept = len(ran.of("call", "line", "return"))
        assert kept == events_kept
        assert [record[1:3] for record in ran.of("limit")] == [["events", events_kept]]
    size = 1024 * 1024
    limits = RecordLimits(hits_per_line=0, calls_per_function=0, events=0, log_bytes=size)
    ran = run_probe(tmp_path, source, version=WITH_WORDS[-1], record_limits=limits)
    assert [record[1:3] for record in ran.of("limit")] == [["bytes", size]]
    log = tmp_path / "project-scratch" / "log"
    used = sum(len(path.read_bytes().rstrip(b"\0")) for path in (log, log.with_name("log" + WORDS)))
    assert ran.end["status"] == "completed" and len(ran.of("line")) > 20_000
    assert used < 2 * size


def test_forked_children_tell_nothing(tmp_path: Path) -> None:
    source = """
        import os
        def work():
            total = 0
            for n in range(100):
                total += n
                if n == 50 and not os.fork():
                    for n in range(1000, 2000):
                        total += n
                    os._exit(0)
            os.wait()
            return total
        work()
    """
    ran = run_probe(tmp_path, source, version=WITH_WORDS[-1], record_limits=ALL)
    assert next(record[4][1] for record in ran.of("return")) == str(sum(range(100)))
    seen = [int(record[5]["n"][1]) for record in ran.of("line") if "n" in record[5]]
    assert seen == list(range(100))
