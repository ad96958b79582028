"""pytest, doctest, scripts and modules run as plain Python runs them, and their items are told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.probe.harness import ALL, TWO, python, run_probe, write_files

TESTS = """
    import pytest
    from lib import add, Box

    def test_ok():
        assert add(1, 2) == 3

    def test_wrong():
        total = add(2, 2)
        assert total == 5

    def test_literal_first():
        assert [1, 2] == Box([1]).items

    def test_error_inside():
        add(1, "x")

    @pytest.mark.parametrize("n", [1, 2])
    def test_many(n):
        assert n < 2

    @pytest.mark.skip(reason="not now")
    def test_skipped(): pass

    @pytest.fixture
    def broken():
        raise ValueError("no fixture")

    def test_broken_setup(broken): pass

    @pytest.mark.xfail(reason="known")
    def test_expected_to_fail():
        assert False

    @pytest.mark.xfail(strict=True)
    def test_unexpectedly_passing(): pass

    def test_raises():
        with pytest.raises(KeyError):
            {}["a"]
"""
LIB = """
    def add(a, b):
        total = a + b
        return total

    class Box:
        def __init__(self, items):
            self.items = items
"""


def test_pytest_items_and_failures(tmp_path: Path) -> None:
    ran = run_probe(tmp_path, {"test_it.py": TESTS, "lib.py": LIB}, kind="pytest")
    outcomes = {name.partition("::")[2]: outcome for name, outcome in ran.outcomes.items()}
    assert outcomes == {
        "test_ok": "passed",
        "test_wrong": "failed",
        "test_literal_first": "failed",
        "test_error_inside": "failed",
        "test_many[1]": "passed",
        "test_many[2]": "failed",
        "test_skipped": "skipped",
        "test_broken_setup": "error",
        "test_expected_to_fail": "skipped",
        "test_unexpectedly_passing": "failed",
        "test_raises": "passed",
    }
    assert (ran.end["status"], ran.end["exit_code"], ran.code) == ("failed", 1, 1)
    wrong, literal, inside, *_ = ran.failures
    assert (wrong["type"], wrong["expected"][1], wrong["actual"][1]) == ("AssertionError", "5", "4")
    assert (literal["expected"][1], literal["actual"][1]) == ("[1, 2]", "[1]")
    assert inside["type"] == "TypeError"
    frames = [frame for frame in inside["frames"] if frame["traced"]]
    assert [(Path(frame["path"]).name, frame["name"]) for frame in frames] == [
        ("test_it.py", "test_error_inside"),
        ("lib.py", "add"),
    ]
    assert {name: value[1] for name, value in frames[-1]["locals"].items()} == {"a": "1", "b": "'x'"}
    if frames[-1]["col"] >= 0:
        source = LIB.splitlines()[frames[-1]["line"] - 1].strip()
        assert source[frames[-1]["col"] - 4 : frames[-1]["end_col"] - 4] == "a + b"
    lines = {record[2]: (Path(record[3]).name, record[4]) for record in ran.of("item")}
    assert lines["test_it.py::test_ok"] == ("test_it.py", 5)


def test_each_test_has_its_own_first_hits(tmp_path: Path) -> None:
    tests = """
        def double(n):
            return n * 2
        def test_one():
            for n in range(30): double(n)
        def test_two():
            for n in range(30): double(n)
    """
    ran = run_probe(tmp_path, {"test_it.py": tests}, kind="pytest")
    items: dict[int, int] = {}
    item = 0
    for record in ran.records:
        item = record[1] if record[0] == "item" else item
        if record[0] == "line" and record[2] == 3:
            items[item] = items.get(item, 0) + 1
    assert items == {1: 10, 2: 10}


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("import nowhere\ndef test_a(): pass\n", "ModuleNotFoundError", "No module named 'nowhere'"),
        ("def test_a(:\n    pass\n", "SyntaxError", ""),
        ("1 / 0\n", "ZeroDivisionError", "division by zero"),
    ],
)
def test_a_collection_error_is_a_failure_in_the_users_file(
    tmp_path: Path, source: str, kind: str, message: str
) -> None:
    ran = run_probe(tmp_path, {"test_it.py": source}, kind="pytest")
    assert list(ran.outcomes.values()) == ["error"]
    (failure,) = ran.failures
    assert failure["type"] == kind and message in failure["message"]
    (frame,) = [frame for frame in failure["frames"] if frame["traced"]]
    assert (Path(frame["path"]).name, frame["line"]) == ("test_it.py", 1)


def test_unittest_values_and_module_fixtures(tmp_path: Path) -> None:
    tests = """
        import unittest
        class TestIt(unittest.TestCase):
            def setUp(self): self.n = 2
            def test_it(self): self.assertEqual(self.n + 1, 4)
    """
    ran = run_probe(tmp_path, {"test_it.py": tests}, kind="pytest")
    assert (ran.failures[0]["actual"][1], ran.failures[0]["expected"][1]) == ("3", "4")


def test_addopts_that_would_disturb_are_neutralised(tmp_path: Path) -> None:
    ini = "[pytest]\naddopts = --junitxml=report.xml -v\n"
    ran = run_probe(tmp_path, {"test_it.py": "def test_a(): pass\n", "pytest.ini": ini}, kind="pytest")
    assert ran.end["status"] == "completed", ran.out
    assert "--junitxml was left out" in ran.end["message"]
    names = sorted(path.name for path in (tmp_path / "project").iterdir())
    assert names == ["pytest.ini", "test_it.py"]


def has_pytest(version: str) -> bool:
    return subprocess.run([python(version), "-c", "import pytest"], stderr=-3, check=False).returncode == 0


def test_nothing_to_run_and_no_pytest(tmp_path: Path) -> None:
    ran = run_probe(tmp_path, {"test_it.py": "x = 1\n"}, kind="pytest")
    assert ran.end["status"] == "usage" and "found no tests" in ran.end["message"]
    bare = next((version for version in ALL if not has_pytest(version)), "")
    if bare:
        ran = run_probe(tmp_path, {"test_it.py": "x = 1\n"}, kind="pytest", version=bare)
        assert ran.end["status"] == "usage" and "-m pip install pytest" in ran.end["message"]


def test_doctests(tmp_path: Path) -> None:
    source = '''
        """
        >>> 1 + 1
        2
        """
        from . import other
        def double(n):
            """
            >>> double(2)
            5
            >>> double({})
            4
            """
            return n * 2
        def quiet(): "no examples"
    '''
    files = {"pack/mod.py": source, "pack/__init__.py": "", "pack/other.py": ""}
    for version in TWO:
        ran = run_probe(tmp_path, files, kind="doctest", version=version)
        assert ran.outcomes == {"pack.mod": "passed", "pack.mod.double": "failed"}
        differs, raised = ran.failures
        assert (differs["expected"][1], differs["actual"][1]) == ("'5'", "'4'")
        assert differs["frames"][0]["line"] == 9
        traced = [(frame["name"], frame["line"]) for frame in raised["frames"] if frame["traced"]]
        assert (raised["type"], traced) == ("TypeError", [("pack.mod.double", 11), ("double", 14)])
        assert ran.code == 1


def test_doctests_of_a_text_file(tmp_path: Path) -> None:
    ran = run_probe(tmp_path, {"readme.txt": "Adding:\n\n>>> 1 + 1\n3\n"}, kind="doctest")
    assert ran.outcomes == {"readme.txt": "failed"}
    assert ran.failures[0]["frames"][0]["line"] == 3


PLAIN = {
    "output": "print('hi'); import sys; print('err', file=sys.stderr); sys.exit(3)",
    "exit_text": "import sys; sys.exit('bye')",
    "exit_none": "import sys; sys.exit()",
    "exit_bool": "import sys; sys.exit(True)",
    "exit_big": "import sys; sys.exit(300)",
    "traceback": "def f(): g()\ndef g(): 1 / 0\nf()",
    "chained": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e",
    "syntax": "x = 1 +* 2\n",
    "main": "import sys; print(__name__, __file__, sys.argv, sys.path[0], __spec__, __package__, __doc__)",
    "names": "print(sorted(n for n in globals() if n not in ('__annotations__', '__cached__')))",
    "import_self": "import __main__ as m, sys; print(m is sys.modules['__main__'], vars(m) is globals())",
    "excepthook": "import sys\nsys.excepthook = lambda *a: print('hook', a[0].__name__)\n1 / 0",
    "interrupt": "raise KeyboardInterrupt",
    "atexit": "import atexit; atexit.register(print, 'last'); print('first')",
    "thread": (
        "import threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(.05), print('t'))).start()\n"
        "print('m')"
    ),
    "destructor": (
        "class A:\n    def __del__(self): print('gone')\n"
        "def f():\n    a = A()\n    print('in')\n    a = 1\n    print('on')\nf()\nprint('out')"
    ),
    "recursion": "import sys; print(sys.getrecursionlimit())",
    "warning": "import warnings; warnings.warn('careful')",
    "stack": "import traceback; print(len(traceback.extract_stack()) > 0)",
    "descriptors": "print(open(__file__).fileno())",
    "modules": "import sys; print([n for n in ('ast', 'inspect', 'dataclasses') if n in sys.modules])",
}


@pytest.mark.parametrize("version", TWO)
@pytest.mark.parametrize("name", PLAIN)
def test_a_script_behaves_as_without_us(tmp_path: Path, name: str, version: str) -> None:
    ran = run_probe(tmp_path, PLAIN[name], version=version, args=["one", "two"])
    plain = subprocess.run(
        [python(version), "main.py", "one", "two"], cwd=tmp_path / "project", stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, env={"PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert (ran.code, ran.out, ran.err) == (plain.returncode, plain.stdout, plain.stderr)
    assert len(ran.of("end")) == 1


@pytest.mark.parametrize("version", TWO)
def test_a_module_behaves_as_without_us(tmp_path: Path, version: str) -> None:
    source = (
        "import sys\nfrom . import lib\nprint(__name__, __package__, sys.argv[1:], sys.path[0])\nlib.f()\n"
    )
    files = {"pack/__main__.py": source, "pack/__init__.py": "", "pack/lib.py": "def f(): return 1 / 0\n"}
    ran = run_probe(tmp_path, files, kind="module", target="pack", version=version, args=["a"])
    plain = subprocess.run(
        [python(version), "-m", "pack", "a"],
        cwd=tmp_path / "project",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.code, ran.out) == (plain.returncode, plain.stdout)
    assert [line for line in plain.stderr.splitlines() if "runpy" not in line][-1] == ran.err.splitlines()[-1]
    assert [frame["name"] for frame in ran.failures[0]["frames"] if frame["traced"]] == ["<module>", "f"]
    assert Path(ran.of("item")[0][3]).name == "__main__.py"


def test_failures_tell_chains_groups_and_deep_recursion(tmp_path: Path) -> None:
    chained = """
        try:
            try: 1 / 0
            except ZeroDivisionError as e: raise KeyError('k') from e
        except KeyError:
            raise ValueError('v')
    """
    ran = run_probe(tmp_path, chained)
    assert ran.failures[0]["chain"] == ["KeyError: 'k'", "ZeroDivisionError: division by zero"]
    ran = run_probe(tmp_path, "def deep(n): return deep(n + 1)\ndeep(0)")
    (failure,) = ran.failures
    assert len(failure["frames"]) == 50 and "left out" in failure["message"]
    group = "def f(): 1 / 0\ntry: f()\nexcept Exception as e: raise ExceptionGroup('two', [e, KeyError()])"
    (failure,) = run_probe(tmp_path, group).failures
    assert failure["type"] == "ExceptionGroup"
    assert "two" in failure["message"] and "ZeroDivisionError" in failure["message"]
    assert failure["frames"][-1]["name"] == "f"


def test_overlay(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    files = {
        "test_it.py": "def test_a():\n    import lib\n    assert lib.f() == 1\n",
        "lib.py": "def f():\n    return 0\n",
        "main.py": "print('disk')\n",
    }
    folder.mkdir()
    write_files(folder, files)
    before = {path.name: path.stat().st_mtime_ns for path in folder.rglob("*")}
    fixed = {str(folder / "lib.py"): "def f():\n    return 1\n"}
    assert run_probe(tmp_path, {}, kind="pytest", target="test_it.py").end["status"] == "failed"
    assert (
        run_probe(tmp_path, {}, kind="pytest", target="test_it.py", overlay=fixed).end["status"]
        == "completed"
    )
    other = {
        str(
            folder / "test_it.py"
        ): "import inspect\ndef test_b():\n    assert 1 == 2, inspect.getsource(test_b)\n"
    }
    ran = run_probe(tmp_path, {}, kind="pytest", target="test_it.py", overlay=other)
    assert list(ran.outcomes.items()) == [("test_it.py::test_b", "failed")]
    assert "def test_b" in ran.failures[0]["message"] and ran.failures[0]["expected"][1] == "2"
    import hashlib

    text = other[str(folder / "test_it.py")]
    assert ran.of("file")[0][3] == hashlib.sha256(text.encode()).hexdigest()
    for version in TWO:
        overlay = {str(folder / "main.py"): "print('laid over')\n1 / 0\n"}
        ran = run_probe(tmp_path, {}, target="main.py", overlay=overlay, version=version)
        assert ran.out == "laid over\n"
        assert ran.failures[0]["frames"][0]["path"] == str(folder / "main.py")
    assert {path.name: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_what_is_traced_and_what_is_not(tmp_path: Path) -> None:
    files = {
        "main.py": "import mine, vendored.theirs, excluded.skipped\n",
        "mine.py": "x = 1\n",
        "vendored/site-packages/../theirs.py": "x = 1\n",
        "excluded/skipped.py": "x = 1\n",
        "venv/lib/site-packages/installed.py": "x = 1\n",
    }
    files["vendored/theirs.py"] = files.pop("vendored/site-packages/../theirs.py")
    excluded = [str(tmp_path / "project" / "excluded")]
    code = "import sys\nsys.path.append('venv/lib/site-packages')\nimport installed\n"
    files["main.py"] += code
    ran = run_probe(tmp_path, files, excluded=excluded)
    assert sorted(Path(record[2]).name for record in ran.of("file")) == ["main.py", "mine.py", "theirs.py"]


def test_a_wrong_specification_is_refused(tmp_path: Path) -> None:
    if ALL[0] in ("3.9", "3.10", "3.11"):
        ran = run_probe(tmp_path, "pass", recorder="monitoring", version=ALL[0])
        assert ran.code != 0 and "sys.monitoring" in ran.err
    ran = run_probe(tmp_path, "pass", kind="nonsense")
    assert ran.end["status"] == "usage" and "nonsense" in ran.end["message"]


@pytest.mark.parametrize("version", TWO)
def test_an_exit_handler_is_recorded_too(tmp_path: Path, version: str) -> None:
    source = """
        import atexit
        @atexit.register
        def handler():
            last = 41 + 1
        first = 1
    """
    ran = run_probe(tmp_path, source, version=version)
    assert ran.end["status"] == "completed"
    assert ran.last_values()["last"][1] == "42"
