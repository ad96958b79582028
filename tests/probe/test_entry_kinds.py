"""The kinds of entry as people use them: fixtures, parameters, classes, plugins; packages; arguments."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.probe.harness import ALL, NEWEST_TWO_RECORDERS, Ran, python, run_probe

each_recorder = pytest.mark.parametrize(("version", "recorder"), NEWEST_TWO_RECORDERS)
NO_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Loading what happens to be installed takes longer than the tests."""

both_here = pytest.mark.parametrize("recorder", ["settrace", "auto"])


def under(ran: Ran, item: str) -> list[str]:
    """The functions that were called while an item ran."""
    names = {record[1]: record[3] for record in ran.of("code")}
    found, inside = [], False
    for record in ran.records:
        if record[0] == "item":
            inside = record[2].endswith(item)
        elif record[0] == "done":
            inside = False
        elif record[0] == "call" and inside:
            found.append(names[record[3]])
    return found


PARAMETERS = """
    import pytest
    @pytest.fixture(params=["x", "y"])
    def letter(request):
        value = request.param * 2
        yield value
        closed = value
    @pytest.fixture(scope="module", autouse=True)
    def table():
        made = {}
        return made
    @pytest.mark.parametrize("n", [1, 2], ids=["one", "two"])
    def test_both(letter, n, table):
        table[letter] = n
        assert n == 1 or letter == "yy"
    class TestGroup:
        def setup_method(self):
            self.n = 1
        @pytest.mark.parametrize(("a", "b"), [(1, 2), ("p", "q")])
        def test_add(self, a, b):
            assert a + b
"""


@both_here
def test_parameters_and_fixtures(tmp_path: Path, recorder: str) -> None:
    ran = run_probe(tmp_path, {"test_it.py": PARAMETERS}, "pytest", recorder=recorder, environ=NO_PLUGINS)
    outcomes = {name.partition("::")[2]: outcome for name, outcome in ran.outcomes.items()}
    assert outcomes == {
        "test_both[x-one]": "passed", "test_both[x-two]": "failed",
        "test_both[y-one]": "passed", "test_both[y-two]": "passed",
        "TestGroup::test_add[1-2]": "passed", "TestGroup::test_add[p-q]": "passed",
    }  # fmt: skip
    assert under(ran, "test_both[x-one]") == ["table", "letter", "test_both"]
    assert under(ran, "test_both[y-two]") == ["letter", "test_both"], "the module's fixture ran before"
    assert under(ran, "test_add[p-q]") == ["TestGroup.setup_method", "TestGroup.test_add"]
    assert "letter:6 <=" in ran.steps() and "letter:7 -> None closed='yy'" in ran.steps()
    calls = [step for step in ran.steps() if step.startswith("test_both(")]
    assert calls[0] == "test_both(letter='xx' n=1 table={})"


CONFTEST = """
    import pytest
    @pytest.fixture
    def shared(tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("SHARED", "yes")
        (tmp_path / "file.txt").write_text("text")
        return tmp_path
"""
USES = """
    import os, warnings
    def test_uses(shared, capsys):
        found = (shared / "file.txt").read_text()
        print(found)
        assert capsys.readouterr().out == "text\\n"
        assert os.environ["SHARED"] == "yes"
    def test_warns(recwarn):
        warnings.warn("careful")
        assert len(recwarn) == 1
"""


@both_here
def test_fixtures_of_a_conftest_and_of_pytest(tmp_path: Path, recorder: str) -> None:
    files = {"test_it.py": USES, "conftest.py": CONFTEST}
    ran = run_probe(tmp_path, files, kind="pytest", recorder=recorder, environ=NO_PLUGINS)
    assert set(ran.outcomes.values()) == {"passed"}, ran.out
    assert under(ran, "test_uses") == ["shared", "test_uses"]
    assert {Path(record[2]).name for record in ran.of("file")} == {"conftest.py", "test_it.py"}


def test_one_test_by_its_node_id(tmp_path: Path) -> None:
    target = ["test_it.py::TestGroup::test_add[1-2]"]
    ran = run_probe(tmp_path, {"test_it.py": PARAMETERS}, kind="pytest", target=target, environ=NO_PLUGINS)
    assert list(ran.outcomes) == target


@pytest.mark.skipif(not importlib.util.find_spec("xdist"), reason="pytest-xdist is not installed")
def test_xdist_is_taken_off(tmp_path: Path) -> None:
    tests = """
        import os
        def test_a():
            here = os.environ.get("PYTEST_XDIST_WORKER")
            assert here is None
    """
    files = {"test_it.py": tests, "pytest.ini": "[pytest]\naddopts = -n 2 --dist loadfile\n"}
    ran = run_probe(tmp_path, files, kind="pytest")
    assert ran.outcomes == {"test_it.py::test_a": "passed"}, ran.out
    assert "run in one process, without xdist" in ran.end["message"]
    assert ran.last_values()["here"][1] == "None"


@pytest.mark.skipif(not importlib.util.find_spec("pytest_cov"), reason="pytest-cov is not installed")
def test_coverage_as_a_plugin_is_taken_off(tmp_path: Path) -> None:
    ini = "[pytest]\naddopts = --cov=. --cov-report=xml --cov-fail-under=100\n"
    ran = run_probe(tmp_path, {"test_it.py": "def test_a():\n    n = 1\n", "pytest.ini": ini}, kind="pytest")
    assert ran.end["status"] == "completed", ran.out
    assert "run without coverage" in ran.end["message"]
    assert ran.last_values()["n"][1] == "1"
    assert sorted(path.name for path in (tmp_path / "project").iterdir()) == ["pytest.ini", "test_it.py"]


PACKAGE = {
    "tool/__init__.py": "NAME = 'tool'\n",
    "tool/__main__.py": """
        import sys
        from . import NAME
        from .core.work import double
        print(NAME, __name__, __package__, __spec__.name, sys.argv[1:], double(4))
    """,
    "tool/core/__init__.py": "",
    "tool/core/work.py": """
        from .. import NAME
        def double(n):
            twice = n * 2
            return twice
        if __name__ == "__main__":
            import sys
            print(__name__, __package__, NAME, sys.argv[1:])
    """,
}


@pytest.mark.parametrize("version", sorted({ALL[0], ALL[-1]}))
@pytest.mark.parametrize("module", ["tool", "tool.core.work", "tool.__main__"])
def test_a_package_and_a_module_in_it(tmp_path: Path, module: str, version: str) -> None:
    args = ["--flag", "a b", "ü"]
    ran = run_probe(tmp_path, PACKAGE, kind="module", target=module, args=args, version=version)
    plain = subprocess.run(
        [python(version), "-m", module, *args], cwd=tmp_path / "project", capture_output=True, check=True,
        encoding="utf-8", env={"PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert (ran.out, ran.err, ran.code) == (plain.stdout, plain.stderr, 0)
    assert "work.py" in {Path(record[2]).name for record in ran.of("file")}


SCRIPT = """
    import argparse, sys
    parser = argparse.ArgumentParser(prog="main.py")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--times", type=int, default=1)
    asked = parser.parse_args()
    greeting = " and ".join(asked.names * asked.times)
    print(greeting)
"""


@each_recorder
def test_a_script_with_arguments(tmp_path: Path, version: str, recorder: str) -> None:
    options = {"version": version, "recorder": recorder}
    ran = run_probe(tmp_path, SCRIPT, args=["--times", "2", "ann", "b c"], **options)
    assert (ran.out, ran.code) == ("ann and b c and ann and b c\n", 0)
    assert ran.last_values()["greeting"][1] == "'ann and b c and ann and b c'"
    wrong = run_probe(tmp_path, SCRIPT, args=["--times", "x"], **options)
    assert (wrong.code, wrong.end["status"]) == (2, "failed")
    assert "invalid int value: 'x'" in wrong.err


DOCTEST = '''
    """
    >>> total([1, 2])
    3
    >>> for n in (1, 2):
    ...     print(total([n]))
    1
    2
    """
    def total(items):
        """
        >>> total([])
        0
        >>> total(None)
        Traceback (most recent call last):
            ...
        TypeError: 'NoneType' object is not iterable
        >>> total([0.1, 0.2])  # doctest: +ELLIPSIS
        0.3...
        """
        found = 0
        for item in items:
            found += item
        return found
'''


@each_recorder
def test_doctests_record_the_code_that_they_call(tmp_path: Path, version: str, recorder: str) -> None:
    ran = run_probe(tmp_path, {"mod.py": DOCTEST}, kind="doctest", version=version, recorder=recorder)
    assert ran.outcomes == {"mod": "passed", "mod.total": "passed"}, ran.out
    assert under(ran, "mod") == ["total", "total", "total"]
    assert under(ran, "mod.total") == ["total", "total", "total"]
    assert next(step for step in ran.steps() if step.startswith("total:24 ->")) == "total:24 -> 3"


def test_pytest_runs_as_from_the_command_line(tmp_path: Path) -> None:
    """`sys.path`, the root folder, the markers of the configuration and the exit status are pytest's."""
    files = {
        "pyproject.toml": (
            '[tool.pytest.ini_options]\nmarkers = ["slow: takes long"]\n'
            'addopts = "-m \'not slow\' --strict-markers"\npythonpath = ["src"]\n'
        ),
        "src/lib.py": "def one():\n    return 1\n",
        "tests/test_it.py": (
            "import pytest, lib\n"
            "def test_a(pytestconfig):\n"
            "    assert lib.one() == 1 and pytestconfig.rootpath.name == 'project'\n"
            "@pytest.mark.slow\ndef test_b(): assert False\n"
        ),
    }
    ran = run_probe(tmp_path, files, kind="pytest", target="tests/test_it.py", environ=NO_PLUGINS)
    assert ran.outcomes == {"tests/test_it.py::test_a": "passed"}, ran.out
    plain = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "tests/test_it.py"],
        cwd=tmp_path / "project", capture_output=True, text=True, check=False,
        env={**os.environ, **NO_PLUGINS},
    )  # fmt: skip
    assert plain.returncode == ran.code == 0
    assert "1 deselected" in plain.stdout and "1 deselected" in ran.out
