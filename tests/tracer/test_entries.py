"""Which entry fits a saved file, and why: a table of small trees."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtrail_tracer.entries import MOST_TEST_FILES, ConfiguredEntry, Entry, NoEntry, discover
from tests.tracer.trees import write

TEST = "def test_it():\n    assert True\n"
FUNCTION = "def mean(xs):\n    return sum(xs) / len(xs)\n"

CASES: Mapping[str, tuple[Mapping[str, str], str, list[str], str]] = {
    "a test file runs itself": (
        {"test_stats.py": TEST},
        "test_stats.py",
        ["pytest:test_stats.py"],
        "test_stats.py holds tests",
    ),
    "a test file by its suffix": (
        {"stats_test.py": TEST},
        "stats_test.py",
        ["pytest:stats_test.py"],
        "stats_test.py holds tests",
    ),
    "a file that holds its tests": (
        {"stats.py": FUNCTION + TEST},
        "stats.py",
        ["pytest:stats.py"],
        "stats.py holds tests",
    ),
    "unittest": (
        {"checks.py": "import unittest\nclass Checks(unittest.TestCase):\n    def test_a(self): pass\n"},
        "checks.py",
        ["pytest:checks.py"],
        "checks.py holds tests",
    ),
    "tests that are inherited": (
        {
            "test_a.py": "from base import Base\nclass TestA(Base):\n    pass\n",
            "base.py": "class Base: pass\n",
        },
        "test_a.py",
        ["pytest:test_a.py"],
        "test_a.py holds tests",
    ),
    "a class called Test without tests is none": (
        {"lab.py": "class TestTube:\n    def fill(self): pass\n"},
        "lab.py",
        [],
        "no test imports lab.py",
    ),
    "a fixture called test_ is none": (
        {"helpers.py": "import pytest\n@pytest.fixture\ndef test_data(): return 1\n"},
        "helpers.py",
        [],
        "no test imports helpers.py",
    ),
    "import beside": (
        {"stats.py": FUNCTION, "test_stats.py": "import stats\n" + TEST},
        "stats.py",
        ["pytest:test_stats.py"],
        "test_stats.py imports stats",
    ),
    "from import": (
        {"stats.py": FUNCTION, "tests/test_a.py": "from stats import mean\n" + TEST},
        "stats.py",
        ["pytest:tests/test_a.py"],
        "tests/test_a.py imports stats",
    ),
    "a module as a name of its package": (
        {
            "pkg/__init__.py": "",
            "pkg/stats.py": FUNCTION,
            "tests/test_a.py": "from pkg import stats\n" + TEST,
        },
        "pkg/stats.py",
        ["pytest:tests/test_a.py"],
        "tests/test_a.py imports stats",
    ),
    "names over several lines": (
        {
            "pkg/__init__.py": "",
            "pkg/stats.py": FUNCTION,
            "tests/test_a.py": "from pkg import (\n    other,  # (why)\n    stats,\n)\n" + TEST,
        },
        "pkg/stats.py",
        ["pytest:tests/test_a.py"],
        "tests/test_a.py imports stats",
    ),
    "src layout": (
        {
            "src/pkg/__init__.py": "",
            "src/pkg/deep/__init__.py": "",
            "src/pkg/deep/stats.py": FUNCTION,
            "tests/deep/test_a.py": "import pkg.deep.stats as s\n" + TEST,
        },
        "src/pkg/deep/stats.py",
        ["pytest:tests/deep/test_a.py"],
        "tests/deep/test_a.py imports stats",
    ),
    "relative": (
        {
            "pkg/__init__.py": "",
            "pkg/stats.py": FUNCTION,
            "pkg/tests/__init__.py": "",
            "pkg/tests/test_a.py": "from ..stats import mean\n" + TEST,
        },
        "pkg/stats.py",
        ["pytest:pkg/tests/test_a.py"],
        "pkg/tests/test_a.py imports stats",
    ),
    "relative, by name": (
        {
            "pkg/__init__.py": "",
            "pkg/stats.py": FUNCTION,
            "pkg/test_a.py": "from . import stats\n" + TEST,
        },
        "pkg/stats.py",
        ["pytest:pkg/test_a.py"],
        "pkg/test_a.py imports stats",
    ),
    "by the folder of a conftest": (
        {
            "app/conftest.py": "",
            "app/stats.py": FUNCTION,
            "app/tests/unit/test_a.py": "import stats\n" + TEST,
        },
        "app/stats.py",
        ["pytest:app/tests/unit/test_a.py"],
        "app/tests/unit/test_a.py imports stats",
    ),
    "several projects in one workspace": (
        {
            "one/src/pkg/__init__.py": "",
            "one/src/pkg/stats.py": FUNCTION,
            "one/tests/test_one.py": "from pkg.stats import mean\n" + TEST,
            "two/src/pkg/__init__.py": "",
            "two/src/pkg/stats.py": FUNCTION,
            "two/tests/test_two.py": "from pkg.stats import mean\n" + TEST,
        },
        "two/src/pkg/stats.py",
        ["pytest:two/tests/test_two.py"],
        "two/tests/test_two.py imports stats",
    ),
    "another module of the same name": (
        {
            "tools/stats.py": FUNCTION,
            "stats.py": FUNCTION,
            "test_stats.py": "import stats\n" + TEST,
        },
        "tools/stats.py",
        [],
        "no test imports stats.py",
    ),
    "through another module": (
        {
            "pkg/__init__.py": "from ._impl import mean\n",
            "pkg/_impl.py": FUNCTION,
            "tests/test_a.py": "import pkg\n" + TEST,
        },
        "pkg/_impl.py",
        ["pytest:tests/test_a.py"],
        "tests/test_a.py imports _impl (through pkg/__init__.py)",
    ),
    "an import inside a test": (
        {"stats.py": FUNCTION, "test_a.py": "def test_a():\n    import stats\n    assert stats\n"},
        "stats.py",
        ["pytest:test_a.py"],
        "test_a.py imports stats",
    ),
    "conftest.py": (
        {"tests/conftest.py": "import pytest\n", "tests/test_a.py": TEST, "other/test_b.py": TEST},
        "tests/conftest.py",
        ["pytest:tests/test_a.py"],
        "tests/test_a.py uses conftest",
    ),
    "a package": (
        {"pkg/__init__.py": "x = 1\n", "pkg/mod.py": "", "test_a.py": "from pkg.mod import y\n" + TEST},
        "pkg/__init__.py",
        ["pytest:test_a.py"],
        "test_a.py imports pkg",
    ),
    "several test files are one entry": (
        {"stats.py": FUNCTION, "test_a.py": "import stats\n" + TEST, "test_b.py": "import stats\n" + TEST},
        "stats.py",
        ["tests-of:stats.py"],
        "test_a.py and 1 more test file import stats",
    ),
    "hidden, environment and vendored folders are not looked at": (
        {
            "stats.py": FUNCTION,
            ".venv/test_a.py": "import stats\n" + TEST,
            "env311/pyvenv.cfg": "",
            "env311/test_b.py": "import stats\n" + TEST,
            "node_modules/test_c.py": "import stats\n" + TEST,
            ".git/test_d.py": "import stats\n" + TEST,
            "build/test_e.py": "import stats\n" + TEST,
        },
        "stats.py",
        [],
        "no test imports stats.py",
    ),
    "doctest": (
        {"stats.py": 'def one():\n    """\n    >>> one()\n    1\n    """\n    return 1\n'},
        "stats.py",
        ["doctest:stats.py"],
        "stats.py has doctest examples",
    ),
    "a script": (
        {"stats.py": "if __name__ == '__main__':\n    print(1)\n"},
        "stats.py",
        ["script:stats.py"],
        'stats.py has `__name__ == "__main__"`',
    ),
    "a script, the other way round": (
        {"stats.py": "if '__main__' == __name__:\n    print(1)\n"},
        "stats.py",
        ["script:stats.py"],
        'stats.py has `__name__ == "__main__"`',
    ),
    "a module with relative imports": (
        {
            "src/pkg/__init__.py": "",
            "src/pkg/cli.py": "from . import other\nif __name__ == '__main__':\n    pass\n",
        },
        "src/pkg/cli.py",
        ["module:pkg.cli"],
        'src/pkg/cli.py has `__name__ == "__main__"`',
    ),
    "the program of a package": (
        {"pkg/__init__.py": "", "pkg/__main__.py": "print(1)\n"},
        "pkg/__main__.py",
        ["module:pkg"],
        "pkg/__main__.py is the program of its package",
    ),
    "a script in a package that needs it not": (
        {"pkg/__init__.py": "", "pkg/tool.py": "import os\nif __name__ == '__main__':\n    pass\n"},
        "pkg/tool.py",
        ["script:pkg/tool.py"],
        'pkg/tool.py has `__name__ == "__main__"`',
    ),
    "everything at once, in order": (
        {
            "stats.py": '"""\n>>> 1\n1\n"""\nif __name__ == "__main__":\n    pass\n',
            "test_stats.py": "import stats\n" + TEST,
        },
        "stats.py",
        ["pytest:test_stats.py", "doctest:stats.py", "script:stats.py"],
        "test_stats.py imports stats",
    ),
    "no Python": ({"notes.md": "# x"}, "notes.md", [], "notes.md is not a Python file"),
    "a file with a syntax error and no test": (
        {"a.py": "def (:\n"},
        "a.py",
        [],
        "a.py does not parse, and no test imports it",
    ),
    "a test file with a syntax error is a test file": (
        {"test_a.py": "def test_a(:\n"},
        "test_a.py",
        ["pytest:test_a.py"],
        "test_a.py holds tests",
    ),
    "tests with a syntax error still import": (
        {"stats.py": FUNCTION, "test_a.py": "import stats\ndef test_a(:\n"},
        "stats.py",
        ["pytest:test_a.py"],
        "test_a.py imports stats",
    ),
    "null bytes": ({"a.py": "x = '\0'\n"}, "a.py", [], "a.py does not parse, and no test imports it"),
}


@pytest.mark.parametrize("name", CASES)
def test_discover(name: str, tmp_path: Path) -> None:
    files, saved, ids, reason = CASES[name]
    found = discover(write(tmp_path, files) / saved, tmp_path)
    if isinstance(found, NoEntry):
        assert ids == []
        assert found.reason.startswith(reason)
        assert found.advice
    else:
        assert [entry.id for entry in found] == ids
        assert found[0].reason == reason


def entries(path: Path, root: Path, **more: object) -> tuple[Entry, ...]:
    found = discover(path, root, **more)  # type: ignore[arg-type]
    assert not isinstance(found, NoEntry), found
    return found


def test_what_failed_last_comes_first_then_the_nearest(tmp_path: Path) -> None:
    test = "from app.core import stats\n" + TEST
    write(
        tmp_path,
        {
            "app/__init__.py": "",
            "app/core/__init__.py": "",
            "app/core/stats.py": FUNCTION,
            "app/core/test_near.py": test,
            "far/away/test_far.py": test,
            "tests/test_stats.py": test,
        },
    )
    path = tmp_path / "app/core/stats.py"

    def order(*failed: str) -> list[str]:
        return [Path(target).name for target in entries(path, tmp_path, failed_last=failed)[0].target]

    assert order() == ["test_stats.py", "test_near.py", "test_far.py"]
    assert order("far/away/test_far.py") == ["test_far.py", "test_stats.py", "test_near.py"]
    assert order("pytest:app/core/test_near.py") == ["test_near.py", "test_stats.py", "test_far.py"]
    assert (
        entries(path, tmp_path)[0].id == entries(path, tmp_path, failed_last=["far/away/test_far.py"])[0].id
    )


def test_too_many_test_files_are_bounded_and_said(tmp_path: Path) -> None:
    tests = {f"tests/test_{n:02}.py": "import stats\n" + TEST for n in range(MOST_TEST_FILES + 5)}
    write(tmp_path, {"stats.py": FUNCTION, **tests})
    (entry,) = entries(tmp_path / "stats.py", tmp_path)
    assert len(entry.target) == MOST_TEST_FILES
    assert entry.reason.endswith("the 20 best of 25 are run")


def test_configured_entries_come_first_and_cover_what_they_say(tmp_path: Path) -> None:
    write(tmp_path, {"src/a.py": FUNCTION, "src/deep/b.py": FUNCTION, "c.py": FUNCTION, "test_a.py": TEST})
    configured = [
        ConfiguredEntry("deep", pytest="tests -k slow", args=("-q",), covers=("src/**/*.py",)),
        ConfiguredEntry("always", script="tools/run.py"),
    ]

    def ids(name: str) -> list[str]:
        return [entry.id for entry in entries(tmp_path / name, tmp_path, configured=configured)]

    assert ids("src/a.py") == ["configured:deep", "configured:always"]
    assert ids("src/deep/b.py") == ["configured:deep", "configured:always"]
    assert ids("c.py") == ["configured:always"]
    assert ids("test_a.py") == ["configured:always", "pytest:test_a.py"]
    always = entries(tmp_path / "c.py", tmp_path, configured=configured)[0]
    assert always.target == (str(tmp_path / "tools/run.py"),)
    assert always.reason == "the configured entry 'always'"


@pytest.mark.parametrize("kinds", [{}, {"pytest": "a", "script": "b"}])
def test_a_configured_entry_has_exactly_one_kind(kinds: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="exactly one of"):
        ConfiguredEntry("x", **kinds)


def test_the_editors_text_counts_rather_than_the_files(tmp_path: Path) -> None:
    path = write(tmp_path, {"a.py": ""}) / "a.py"
    assert isinstance(discover(path, tmp_path), NoEntry)
    assert entries(path, tmp_path, text="if __name__ == '__main__': pass")[0].id == "script:a.py"


def test_a_saved_change_of_a_test_is_seen(tmp_path: Path) -> None:
    write(tmp_path, {"stats.py": FUNCTION, "test_a.py": TEST})
    assert isinstance(discover(tmp_path / "stats.py", tmp_path), NoEntry)
    write(tmp_path, {"test_a.py": "import stats\n" + TEST})
    assert entries(tmp_path / "stats.py", tmp_path)[0].id == "pytest:test_a.py"


def test_nothing_is_imported(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "stats.py": "open('ran', 'w')\n",
            "test_a.py": "open('ran', 'w')\nimport stats\n" + TEST,
            "conftest.py": "open('ran', 'w')\n",
        },
    )
    entries(tmp_path / "stats.py", tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_large_workspace_is_looked_through_quickly(tmp_path: Path) -> None:
    for folder in range(100):
        (tmp_path / f"d{folder}").mkdir()
        for n in range(30):
            (tmp_path / f"d{folder}" / f"m{n}.py").write_text("import os\nimport sys\n")
    write(tmp_path, {"stats.py": FUNCTION, "d7/test_a.py": "import stats\n" + TEST})
    entries(tmp_path / "stats.py", tmp_path)
    started = time.process_time()
    assert entries(tmp_path / "stats.py", tmp_path)[0].id == "pytest:d7/test_a.py"
    assert time.process_time() - started < 4.0, "of CPU: some 0.7 s where nobody else wants the core"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="import from.()\\\n\t as*#'\"abc_=:\0\ud800é", max_size=80))
def test_no_text_makes_it_raise(text: str, tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_bytes(text.encode("utf-8", "surrogatepass"))
    for name in ("x.py", "test_x.py"):
        assert discover(tmp_path / name, tmp_path, text=text)


def test_a_program_that_does_not_parse_is_run_so_that_its_error_is_shown(tmp_path: Path) -> None:
    guard = '\n\nif __name__ == "__main__":\n    print(1)\n'
    root = write(tmp_path.resolve(), {"rates.py": "RATES = {" + guard, "p/__init__.py": ""})
    write(root, {"p/run.py": "from . import x\nRATES = {" + guard, "plain.py": "RATES = {"})
    entries = discover(root / "rates.py", root)
    assert not isinstance(entries, NoEntry) and entries[0].kind == "script"
    entries = discover(root / "p" / "run.py", root)
    assert not isinstance(entries, NoEntry) and entries[0].target == ("p.run",)
    nothing = discover(root / "plain.py", root)
    assert isinstance(nothing, NoEntry) and "does not parse" in nothing.reason
