"""Why a value is what it is: chains from traces made by hand and from real runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from backtrail_model.evidence.why import MOST, Chain, why
from tests.model import real
from tests.model.handmade import MODULE, TESTS, Recording, text, total_recording
from tests.model.test_evidence import ACCOUNT


def chain(run: Recording, line: int, expression: str = "", path: Path = MODULE) -> Chain:
    found = why(run.trace(), run.source_of, path, line, expression)
    assert found is not None
    return found


def test_a_value_that_is_read_comes_from_where_it_was_set() -> None:
    found = chain(total_recording(), 7, "result")
    assert (found.value, found.title) == ("-1", "Why result is -1 at shop.py:7")
    assert [link.fact.id for link in found.links if link.because == "gave `result` its value"] == [
        "L6#1",
        "L2#1",
    ]
    assert "could have changed `result`, but did not" in {link.because for link in found.links}


def test_a_value_that_is_set_there_is_told_with_what_made_it() -> None:
    found = chain(total_recording(), 6, "result")
    assert found.value == "-1"
    assert found.links[0].fact.id == "L6#1"
    assert found.links[0].because == "made it"


def test_the_failing_test_is_meant_and_not_the_last_one_that_ran() -> None:
    run = total_recording()
    run.begin("test_shop.py::test_more")
    test = run.call(TESTS, "test_more", 9)
    frame = run.call(MODULE, "total", 1, test, prices=[], limit=5)
    run.line(frame, 2, result=0)
    run.line(frame, 3)
    run.line(frame, 7)
    run.leave(frame, 0)
    assert chain(run, 7, "result").value == "-1"


def test_an_argument_comes_from_the_call() -> None:
    run = total_recording()
    found = chain(run, 1, "limit")
    assert (found.value, found.links[0].fact.path) == ("5", TESTS)


@pytest.mark.parametrize(("line", "expression"), [(7, "nobody"), (99, ""), (1, "nobody"), (7, "(")])
def test_what_was_not_recorded_has_no_chain_or_one_for_the_line(line: int, expression: str) -> None:
    run = total_recording()
    found = why(run.trace(), run.source_of, MODULE, line, expression)
    assert found is None or expression == "("


def test_a_long_chain_is_cut_and_says_so() -> None:
    body = "".join(f"    x{n + 1} = x{n} + 1\n" for n in range(30))
    run = Recording({MODULE: f"def f(x0):\n{body}    raise E(x30)\n"})
    run.begin("f")
    frame = run.call(MODULE, "f", 1, x0=0)
    for n in range(30):
        run.line(frame, n + 2, **{f"x{n + 1}": n + 1})
    run.line(frame, 32, raised="E: 30")
    run.fail((frame, 32), type="E")
    found = chain(run, 32, "x30")
    assert [link.fact.line for link in found.links] == list(range(31, 31 - MOST, -1))
    assert found.left_out == 30 - MOST


async def test_across_objects_methods_and_names_in_a_real_run(tmp_path: Path) -> None:
    project = await real.run(tmp_path, ACCOUNT.files, ACCOUNT.saved)
    found = why(project.trace, project.source_of, project.folder / "account.py", 15, "account")
    assert found is not None
    assert found.value is not None and "balance=-6" in found.value
    told = {(link.fact.line, link.because) for link in found.links}
    assert (7, "gave `self` its value") in told
    assert (8, "changed `self`") in told
    assert 14 not in {line for line, _ in told}, "`rest` had no part in it"


SHARED = text("""
    LIMIT = 3
    seen = []

    def note(item):
        seen.append(item)

    def outer(n):
        count = 0

        def bump():
            nonlocal count
            count += n

        bump()
        note(count)
        return count

    def level():
        return len(seen) + LIMIT

    def gen(n):
        for i in range(n):
            yield i * 2

    def risky(n):
        try:
            value = 6 // n
        except ZeroDivisionError:
            value = -1
        return value

    def whole():
        outer(4)
        a = level()
        b = sum(gen(3))
        c = risky(0)
        return a + b + c
    """)


async def test_across_globals_closures_generators_and_exceptions(tmp_path: Path) -> None:
    files = {
        "parts.py": SHARED,
        "test_parts.py": "from parts import whole\n\ndef test_whole():\n    assert whole() == 0\n",
    }
    project = await real.run(tmp_path, files, "parts.py")

    def lines(line: int, name: str) -> set[int]:
        found = why(project.trace, project.source_of, project.folder / "parts.py", line, name)
        assert found is not None
        return {link.fact.line for link in found.links}

    last = SHARED.splitlines().index("    return a + b + c") + 1
    at = {text.strip(): number for number, text in enumerate(SHARED.splitlines(), 1)}
    assert {at["seen.append(item)"], at["LIMIT = 3"], at["count += n"]} <= lines(last, "a")
    assert {at["yield i * 2"], at["for i in range(n):"]} <= lines(last, "b")
    assert at["seen.append(item)"] not in lines(last, "b")
    assert {at["value = -1"], at["value = 6 // n"]} <= lines(last, "c")
