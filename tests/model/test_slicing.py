"""The dynamic backward slice, on traces made by hand."""

from __future__ import annotations

import pytest
from attrs import evolve

from backtrail_tracer import statements
from backtrail_tracer.slicing import History, Slice, backward_slice, slice_failure
from backtrail_tracer.trace import Cap
from tests.model.handmade import MODULE, Recording, text, total_recording, value


def sliced(run: Recording) -> tuple[History, Slice]:
    history = History(run.trace(), run.source_of)
    return history, slice_failure(history, run.failures[0])


def steps(run: Recording) -> list[tuple[str, int, str, str]]:
    """(file, line, why, name) of each step, nearest first."""
    history, found = sliced(run)
    return [(history.path(s.hit).stem, s.hit.line, s.why, s.name) for s in found.steps]


def test_a_wrong_sum_comes_from_the_subtraction() -> None:
    found = steps(total_recording())
    assert found[:3] == [
        ("test_shop", 7, "criterion", ""),
        ("shop", 7, "return", "total"),
        ("shop", 6, "data", "result"),
    ]
    assert ("shop", 2, "data", "result") in found
    assert any(step[:2] == ("shop", 3) for step in found)
    assert ("shop", 4, "omission", "") in found, "`continue` was not taken when the price was subtracted"


def test_the_passing_test_is_not_in_the_slice() -> None:
    run = total_recording()
    history, found = sliced(run)
    assert {history.trace.frames[step.hit.frame].item for step in found.steps} == {1}


def one_function(source: str, *lines: tuple[int, dict[str, object]], **arguments: object) -> Recording:
    """A run of `f` in which the last line raises."""
    run = Recording({MODULE: text(source)})
    run.begin("f")
    frame = run.call(MODULE, "f", 1, **arguments)
    for number, (line, changed) in enumerate(lines):
        run.line(frame, line, raised="E: x" if number == len(lines) - 1 else None, **changed)
    run.fail((frame, lines[-1][0]), type="E")
    return run


SOURCES = {
    "unrelated lines stay out": (
        """
        def f(a):
            x = a
            y = 2
            raise E(x)
        """,
        [(2, {"x": 1}), (3, {"y": 2}), (4, {})],
        {2, 4},
    ),
    "a redefinition hides the first definition": (
        """
        def f(a):
            x = 1
            x = a
            raise E(x)
        """,
        [(2, {"x": 1}), (3, {"x": 5}), (4, {})],
        {3, 4},
    ),
    "a write that left the value as it was counts": (
        """
        def f(a):
            x = 1
            x = a
            raise E(x)
        """,
        [(2, {"x": 1}), (3, {}), (4, {})],
        {3, 4},
    ),
    "a mutation by a method": (
        """
        def f(a):
            x = []
            x.append(a)
            raise E(x)
        """,
        [(2, {"x": []}), (3, {"x": [1]}), (4, {})],
        {2, 3, 4},
    ),
    "the branch that was not taken could have set it": (
        """
        def f(a):
            x = 0
            if a > 1:
                x = a
            raise E(x)
        """,
        [(2, {"x": 0}), (3, {}), (5, {})],
        {2, 3, 5},
    ),
    "a branch that could have left before": (
        """
        def f(a):
            x = 0
            if a > 1:
                return None
            raise E(x)
        """,
        [(2, {"x": 0}), (3, {}), (5, {})],
        {2, 3, 5},
    ),
    "a branch with no say in it stays out": (
        """
        def f(a):
            x = 0
            if a > 1:
                y = a
            raise E(x)
        """,
        [(2, {"x": 0}), (3, {}), (5, {})],
        {2, 5},
    ),
    "a comprehension's own variable is no read": (
        """
        def f(a):
            y = 3
            x = [y for y in a]
            raise E(x)
        """,
        [(2, {"y": 3}), (3, {"x": []}), (4, {})],
        {3, 4},
    ),
    "a header and its body on one line": (
        """
        def f(a):
            x = 0
            y = 1
            for i in a: x = y
            raise E(x)
        """,
        [(2, {"x": 0}), (3, {"y": 1}), (4, {"i": 1, "x": 1}), (4, {}), (5, {})],
        {3, 4, 5},
    ),
    "a statement over several lines": (
        """
        def f(a):
            x = a
            raise E(
                x
            )
        """,
        [(2, {"x": 1}), (4, {}), (3, {})],
        {2, 3, 4},
    ),
}


@pytest.mark.parametrize("name", SOURCES)
def test_lines_of_the_slice(name: str) -> None:
    source, lines, expected = SOURCES[name]
    run = one_function(source, *lines, a=0)  # type: ignore[arg-type]
    if name == "a statement over several lines":
        expected = expected - {4}
    _, found = sliced(run)
    assert {step.hit.line for step in found.steps} == expected


CALLS = text("""
    def outer(n):
        items = []
        fill(items, n)
        return use(items)

    def fill(target, count):
        k = count - 1
        target.append(k)

    def use(xs):
        return xs[0] / 0
    """)


def calling() -> Recording:
    run = Recording({MODULE: CALLS})
    run.begin("outer")
    outer = run.call(MODULE, "outer", 1, n=3)
    run.line(outer, 2, items=value([], id=7))
    site = run.line(outer, 3)
    fill = run.call(MODULE, "fill", 6, outer, target=value([], id=7), count=3)
    run.line(fill, 7, k=2)
    run.line(fill, 8, target=value([2], id=7))
    run.leave(fill)
    run.change(site, items=value([2], id=7))
    run.line(outer, 4)
    use = run.call(MODULE, "use", 10, outer, xs=value([2], id=7))
    run.line(use, 11, raised="ZeroDivisionError: division by zero")
    run.fail((outer, 4), (use, 11), type="ZeroDivisionError")
    return run


def test_across_calls_by_arguments_and_through_the_object_that_a_callee_changed() -> None:
    found = {(line, why) for _, line, why, _ in steps(calling())}
    assert {(11, "criterion"), (4, "argument"), (3, "data"), (8, "return"), (7, "data")} <= found


def test_capped_lines_make_it_uncertain() -> None:
    run = total_recording()
    _, sure = sliced(run)
    assert not any(step.uncertain for step in sure.steps)
    run.caps.append(Cap(MODULE, 6, 1))
    _, doubtful = sliced(run)
    assert all(step.uncertain for step in doubtful.steps if step.why == "data")


def test_a_gap_makes_it_uncertain() -> None:
    run = total_recording()
    run.hits = [evolve(hit, uncertain=hit.line == 6) for hit in run.hits]
    _, found = sliced(run)
    assert next(step for step in found.steps if step.hit.line == 6).uncertain


def test_a_value_under_the_cursor() -> None:
    run = total_recording()
    history = History(run.trace(), run.source_of)
    last = max(run.trace().lines(MODULE)[6], key=lambda hit: hit.order)
    found = backward_slice(history, last, ["price"])
    assert found.steps[1].hit.line == 3
    assert found.steps[1].name == "price"


def test_nothing_recorded_is_an_empty_slice() -> None:
    run = Recording({MODULE: "x = 1\n"})
    frame = run.call(MODULE, "<module>", 1)
    run.fail((frame, 1))
    assert sliced(run)[1].steps == ()


def test_a_source_that_is_gone_still_gives_what_the_record_knows() -> None:
    run = total_recording()
    run.sources.pop(MODULE)
    assert steps(run)[0] == ("test_shop", 7, "criterion", "")


def test_a_long_run_stays_fast() -> None:
    run = Recording({MODULE: "def f(n):\n    x = 0\n    while x < n:\n        x += 1\n    raise E(x)\n"})
    run.begin("f")
    frame = run.call(MODULE, "f", 1, n=20_000)
    run.line(frame, 2, x=0)
    for n in range(20_000):
        run.line(frame, 3)
        run.line(frame, 4, x=n + 1)
    run.line(frame, 5, raised="E: x")
    run.fail((frame, 5), type="E")
    _history, found = sliced(run)
    assert not found.complete
    assert found.steps[0].hit.line == 5


STATEMENTS = {
    "x = y + z[1]": ({"y", "z"}, {"x"}),
    "x += y": ({"x", "y"}, {"x"}),
    "x[i] = y": ({"x", "i", "y"}, {"x"}),
    "x.a.b = y": ({"x", "y"}, {"x"}),
    "x.append(y)": ({"x", "y"}, {"x"}),
    "x.strip()": ({"x"}, set()),
    "for a, b in c: pass": ({"c"}, {"a", "b"}),
    "if a < b: c = d": ({"a", "b"}, set()),
    "with a as b: c": ({"a"}, {"b"}),
    "import a.b as c, d.e": (set(), {"c", "d"}),
    "def f(a=b): return c": ({"b"}, {"f"}),
    "[x for x in y if x > z]": ({"y", "z"}, set()),
    "k = lambda x: x + y": ({"y"}, {"k"}),
    "(a := b)": ({"b"}, {"a"}),
    "del x": (set(), {"x"}),
}


@pytest.mark.parametrize("source", STATEMENTS)
def test_what_a_statement_reads_and_writes(source: str) -> None:
    statement = statements.parse(source).all[0]
    assert (set(statement.reads), set(statement.writes)) == STATEMENTS[source]
