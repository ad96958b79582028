"""Candidates forked in the middle of a run end as they would in a run of their own."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from backtrail_tracer.entries import Entry
from backtrail_tracer.session import Session
from backtrail_tracer.verify import Verdict, Verifier
from tests.tracer.trees import write

PROJECT = {
    "conftest.py": """
        import random
        import pytest
        import bank.settings

        random.seed(7)

        @pytest.fixture(scope="session")
        def rate():
            return bank.settings.RATE

        @pytest.fixture
        def folder(tmp_path):
            (tmp_path / "x").write_text("3")
            return tmp_path
    """,
    "bank/__init__.py": "",
    "bank/settings.py": "RATE = 2\n",
    "bank/money.py": "from bank.settings import RATE\n\ndef double(x):\n    return x * RATE + 1\n",
    "bank/report.py": "from bank.money import double\n\nCACHE = [double(1)]\n",
    "test_money.py": """
        import random
        import sys
        from bank.report import CACHE, double

        def test_rate(rate):
            assert double(3) == 3 * rate

        def test_cache():
            assert CACHE == [2]

        def test_files(folder, capsys):
            print(double(int((folder / "x").read_text())))
            assert capsys.readouterr().out == "6\\n"

        def test_random():
            assert random.random() == random.Random(7).random()

        def test_state():
            assert not hasattr(sys, "seen_before")
            sys.seen_before = True
    """,
}
MONEY = PROJECT["bank/money.py"]
CANDIDATES = (
    MONEY.replace(" + 1", ""),
    MONEY,
    MONEY.replace(" + 1", " - 0"),
    MONEY.replace("def double", "def dooble"),
    MONEY + "\nraise RuntimeError('at import')\n",
    MONEY.replace("return", "import os; os._exit(4)"),
)


def outcomes(verdict: Verdict) -> tuple[object, ...]:
    items = [(item.name, item.outcome) for item in verdict.items]
    failures = [(each.type, each.message.splitlines()[:1]) for each in verdict.failures]
    return verdict.status, verdict.passed, items, failures


async def both(
    session: Session, entry: Entry, path: Path, texts: Sequence[str], **how: bool
) -> list[list[tuple[object, ...]]]:
    """The outcomes of each text from a stage and without one; the reasons must say which was which."""
    found = []
    for use_stages in (True, False):
        async with Verifier(session, entry, use_stages=use_stages) as verifier:
            found.append([outcomes(await verifier.verify({path: t}, wall_s=60, **how)) for t in texts])
    return found


def pytest_entry(root: Path, target: str) -> Entry:
    return Entry("e", "pytest", (str(root / target),), (), root, "", "", ())


@pytest.mark.parametrize("stop_first", [False, True])
async def test_a_project_with_fixtures_and_several_modules(session: Session, stop_first: bool) -> None:
    root = write(session.root, PROJECT)
    entry = pytest_entry(root, "test_money.py")
    staged, plain = await both(session, entry, root / "bank/money.py", CANDIDATES, stop_first=stop_first)
    assert staged == plain
    assert [one[1] for one in staged] == [True, False, True, False, False, False]
    assert len(staged[0][2]) == 5  # type: ignore[arg-type]


async def test_the_file_that_conftest_loads(session: Session) -> None:
    root = write(session.root, PROJECT)
    texts = ("RATE = 2\n", "RATE = 5\n", "RATE = None\n")
    staged, plain = await both(session, pytest_entry(root, "test_money.py"), root / "bank/settings.py", texts)
    assert staged == plain


async def test_tests_and_code_in_one_file(session: Session) -> None:
    source = "def f(x):\n    return x - 1\n\ndef test_f():\n    assert f(2) == 3\n"
    path = write(session.root, {"test_one.py": source}) / "test_one.py"
    texts = (source, source.replace("- 1", "+ 1"))
    staged, plain = await both(session, pytest_entry(session.root, "test_one.py"), path, texts)
    assert staged == plain
    assert [one[1] for one in staged] == [False, True]


@pytest.mark.parametrize("kind", ["script", "doctest"])
async def test_other_kinds_of_entry(session: Session, kind: str) -> None:
    source = textwrap.dedent('''
        def half(x):
            """
            >>> half(4)
            2
            """
            return x // 3

        assert __name__ != "__main__" or half(4) == 2
    ''')
    path = write(session.root, {"half.py": source}) / "half.py"
    entry = Entry("e", kind, (str(path),), (), session.root, "", "", (path,))
    staged, plain = await both(session, entry, path, (source, source.replace("// 3", "// 2")))
    assert staged == plain
    assert [one[1] for one in staged] == [False, True]


async def test_an_import_inside_a_test(session: Session) -> None:
    tests = "def test_f():\n    from late import f\n    assert f(2) == 3\n"
    root = write(session.root, {"late.py": "", "test_late.py": tests})
    texts = ("def f(x): return x + 1\n", "def f(x): return x\n")
    entry = pytest_entry(root, "test_late.py")
    staged, plain = await both(session, entry, root / "late.py", texts)
    assert staged == plain
    assert [one[1] for one in staged] == [True, False]


@pytest.mark.parametrize(
    ("conftest", "reason"),
    [
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n",
            "threads",
        ),
        ("import os\nos._exit(3)\n", "ended on the way"),
        ("", "not loaded"),
    ],
)
async def test_without_such_a_point_it_goes_on_without_a_stage(
    session: Session, conftest: str, reason: str
) -> None:
    root = write(session.root, {**PROJECT, "conftest.py": conftest, "other.py": ""})
    tests = {"test_other.py": "def test_a():\n    assert True\n"}
    write(root, tests)
    path = root / ("bank/money.py" if conftest else "other.py")
    target = "test_money.py" if conftest else "test_other.py"
    async with Verifier(session, pytest_entry(root, target)) as verifier:
        await verifier.verify({path: CANDIDATES[0]}, wall_s=60)
        assert reason in verifier.reason


async def test_the_limit_of_what_is_computed_holds_in_a_stage_and_without(session: Session) -> None:
    """Sleeping costs nothing, and a program that computes for ever is ended soon."""
    root = write(session.root, {"nap.py": "", "test_nap.py": "import nap\n\ndef test_nap():\n    nap.f()\n"})
    texts = ("import time\ndef f(): time.sleep(0.7)\n", "def f():\n    while True: pass\n")
    for use_stages in (True, False):
        async with Verifier(session, pytest_entry(root, "test_nap.py"), use_stages=use_stages) as verifier:
            limit = 1.0 if use_stages else 6.0
            slept, ran = [
                await verifier.verify({root / "nap.py": text}, wall_s=120, cpu_s=limit) for text in texts
            ]
            assert slept.passed, slept
            assert (ran.status, ran.passed) == ("timeout", False)
            assert ran.cpu_s > limit / 2, "it was not the wall clock"


async def test_a_script_is_run_beside_the_entry(session: Session) -> None:
    root = write(session.root, {"lib.py": "X = 1\n", "test_lib.py": "def test_a(): assert True\n"})
    script = "import sys\nsys.path.insert(0, '.')\nimport lib\nraise AssertionError('X is %d' % lib.X)\n"
    async with Verifier(session, pytest_entry(root, "test_lib.py")) as verifier:
        for value in (2, 3):
            verdict = await verifier.observe(script, {root / "lib.py": f"X = {value}\n"}, wall_s=60)
            assert verdict.failures[0].message == f"X is {value}"
