"""Where a failing run first went another way than a good one: programs that run, and logs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from backtrail_tracer.divergence import Divergence, compare, first_divergence
from backtrail_tracer.entries import Entry
from backtrail_tracer.sameness import differ
from backtrail_tracer.session import Session
from backtrail_tracer.trace import Trace, Value
from tests.tracer.logs import END, PATH, call, code, leave, line, trace

STATS = """\
def mean(values):
    total = 0
    for value in values:
        total += value
    return total / len(values)


def spread(values):
    low = min(values)
    return max(values) - low


def label(values):
    if mean(values) > 5:
        return "high"
    return "low"
"""
TESTS = """\
from stats import label, mean, spread


def test_mean():
    assert mean([1, 2, 3]) == 2


def test_spread():
    assert spread([1, 5]) == 4


def test_label():
    assert label([7, 9]) == "high"
"""

# What is edited, which test fails then, and how the difference is told: (kind, line, words).
EDITS: dict[str, tuple[tuple[str, str], str, tuple[str, int, str] | None]] = {
    "a value made by an edited line": (
        ("total += value", "total -= value"),
        "test_mean",
        ("value", 4, "total was 1 (hit 1), now -1; the line was edited in between"),
    ),
    "lines that only moved are no difference": (
        ("def mean(values):\n", "# one\n# two\ndef mean(values):\n    # three\n"),
        "test_mean",
        None,
    ),
    "a line that was put in": (
        ("    for value", "    values = values[1:]\n    for value"),
        "test_mean",
        ("value", 3, "values was [1, 2, 3] (hit 1), now [2, 3]; the line was edited in between"),
    ),
    "a result of an edited line": (
        ("total / len(values)", "total / (len(values) + 1)"),
        "test_mean",
        ("result", 5, "mean returned 2.0 (call 1), now 1.5"),
    ),
    "what a call did comes before what its caller made of it": (
        ("low = min(values)", "low = max(values)"),
        "test_spread",
        ("value", 9, "low was 1 (hit 1), now 5; the line was edited in between"),
    ),
    "a branch": (
        ("> 5", "> 50"),
        "test_label",
        ("branch", 14, "the good run went on to line 15 (hit 1), this one to line 16; "
                       "the line was edited in between"),
    ),
    "an exception": (
        ("    low = min(values)", "    low = min(values)\n    values = None"),
        "test_spread",
        ("value", 10, "values was [1, 5] (hit 1), now None; the line was edited in between"),
    ),
    "another test's difference is not this one's": (
        ("total += value", "total += value + (value == 2)"),
        "test_mean",
        ("value", 4, "total was 3 (hit 2), now 4; the line was edited in between"),
    ),
}  # fmt: skip


async def ran(session: Session, text: str, tests: str = TESTS) -> Trace:
    root = session.root
    (root / "stats.py").write_text(text)
    (root / "test_stats.py").write_text(tests)
    entry = Entry("pytest:test_stats.py", "pytest", ("test_stats.py",), (), root, "", "", ())
    return (await session.run(entry)).trace


def told(found: Divergence | None) -> tuple[str, int, str] | None:
    return found and (found.kind, found.line, found.words)


def divergence_of(good: Trace, failing: Trace, test: str) -> Divergence | None:
    item = next(item.id for item in failing.items if item.name.endswith(test))
    return first_divergence(good, failing, item)


async def test_edits_of_a_program_that_is_run(session: Session) -> None:
    good = await ran(session, STATS)
    assert good.status == "completed", good
    for what, ((old, new), test, expected) in EDITS.items():
        failing = await ran(session, STATS.replace(old, new))
        assert told(divergence_of(good, failing, test)) == expected, what


def loop(*totals: int, kept: int | None = None, gap: bool = False) -> Trace:
    """`for x in xs` in line 2, `total += x` in line 3, which made `totals`; `return total` in line 4."""
    records: list[Any] = [call(), line(2)]
    for number, total in enumerate(totals, 1):
        records += [line(3, number), line(2, number + 1, total=total)]
    caps = [["cap", 1, number, kept] for number in (2, 3)] if kept else []
    return trace(code(), *records, *caps, line(4, gap=gap), leave(totals[-1]), END)


def program(*records: Any) -> Trace:
    return trace(code(), *records, END)


def branch(to: int) -> Trace:
    return program(call(), line(2), line(to), leave(None))


HANDMADE: dict[str, tuple[Trace, Trace, str | None]] = {
    "the same": (loop(1, 3, 6), loop(1, 3, 6), None),
    "which hit": (loop(1, 3, 6), loop(1, 2, 5), "total was 3 (hit 2), now 2"),
    "an argument": (
        program(call(xs=[1]), line(2), leave(1)),
        program(call(xs=[2]), line(2), leave(2)),
        "xs was [1] (call 1), now [2]",
    ),
    "a branch": (branch(3), branch(4), "the good run went on to line 3 (hit 1), this one to line 4"),
    "an early end": (
        program(call(), line(2), line(3), leave(None)),
        program(call(), line(2), leave(None)),
        "the good run went on to line 3 (hit 1), this one to the end of the function",
    ),
    "an exception": (
        program(call(), line(2), line(3), leave(None)),
        program(call(), line(2), ["raise", 1, 2, 9, "KeyError", "'x'"], ["unwind", 1, 2, 9, {}, False]),
        "KeyError: 'x' was raised (hit 1); the good run went on",
    ),
    "more rounds than the good run had": (
        loop(1, 3),
        loop(1, 3, 6),
        "the good run went on to line 4 (hit 3), this one to line 3",
    ),
    "rounds that were not recorded are no branch, and the result still tells": (
        loop(1, 3, kept=2),
        loop(1, 3, 6, kept=2),
        "mean returned 3 (call 1), now 6",
    ),
    "a value that was cut is no evidence that the runs were the same up to here": (
        program(call(), line(2), line(3, xs=["=list", "[1, …]", {"cut": True}]), line(4, x=1), leave(None)),
        program(call(), line(2), line(3, xs=["=list", "[1, …]", {"cut": True}]), line(4, x=2), leave(None)),
        "x was 1 (hit 1), now 2; values before it were recorded only in part",
    ),
    "a value of another type": (
        program(call(), line(2), line(3, x=["=int", "1"]), leave(None)),
        program(call(), line(2), line(3, x=["=MyInt", "1"]), leave(None)),
        "x was 1 (int) (hit 1), now 1 (MyInt)",
    ),
    "a value that lines not recorded may have made": (
        program(call(), line(2), line(3, gap=True, x=1), leave(None)),
        program(call(), line(2), line(3, gap=True, x=2), leave(None)),
        "x was 1 (hit 1), now 2; lines that were not recorded ran in between",
    ),
    "a run that was ended went nowhere else": (
        program(call(), line(2), line(3), leave(None)),
        program(call(), line(2)),
        None,
    ),
}


@pytest.mark.parametrize("what", HANDMADE)
def test_runs_of_one_text(what: str) -> None:
    good, failing, expected = HANDMADE[what]
    found = first_divergence(good, failing)
    assert (found and found.words) == expected


def test_what_a_callee_did_is_first() -> None:
    def run(total: int, result: int) -> Trace:
        return program(
            call(1), line(2), call(2, 1, 1), line(2, 1, 2), line(3, 1, 2, total=total), leave(total, 2),
            line(4, result=result), leave(result),
        )  # fmt: skip

    found = first_divergence(run(1, 10), run(2, 20))
    assert found and found.words == "total was 1 (hit 1), now 2"


def test_a_text_that_is_not_known_is_not_compared() -> None:
    failing = evolve(loop(1, 2), files={PATH: "1" * 64})
    assert first_divergence(loop(1, 3), failing) is None


def long(**more: Any) -> Value:
    return Value("list", "[1, 2, …]", cut=True, **more)


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (Value("int", "1"), Value("int", "1"), False),
        (Value("int", "1"), Value("int", "2"), True),
        (Value("int", "1"), Value("str", "1"), True),
        (Value("int", "1"), None, False),
        (long(), long(), False),
        (long(length=5), long(length=6), True),
        (Value("str", "'a'", redacted=True), Value("str", "'b'", redacted=True), False),
        (Value("T", "<T at 0x7f01>"), Value("T", "<T at 0x7f02>"), False),
        (
            Value("str", "'/tmp/pytest-of-me/pytest-1/a'"),
            Value("str", "'/tmp/pytest-of-me/pytest-2/a'"),
            False,
        ),
        (Value("set", "{'a', 'b'}"), Value("set", "{'b', 'a'}"), False),
        (Value("set", "{'a', 'b'}"), Value("set", "{'a', 'c'}"), True),
    ],
)
def test_when_two_values_are_known_to_differ(was: Value, now: Value | None, expected: bool) -> None:
    assert differ(was, now) is expected


def test_the_variables_around_the_difference_are_told_of_both_runs() -> None:
    good = trace(code(), call(xs=[1, 2]), line(2), line(3, total=1), leave(3))
    bad = trace(code(), call(xs=[1, 2]), line(2), line(3, total=5), leave(3))
    found = compare(good, bad)
    assert found is not None and found.first == first_divergence(good, bad)
    table = {each.name: (str(each.was), str(each.now), each.differs) for each in found.variables}
    assert table == {"xs": ("[1, 2]", "[1, 2]", False), "total": ("1", "5", True)}
