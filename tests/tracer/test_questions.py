"""What an editor asks of a trace, on a trace made by hand that stands for this program:

1  LIMIT = 3
2  def mean(xs):
3      total = 0
4      for x in xs:
5          total = total + x
6      return total / len(xs)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from backtrail_tracer.questions import callers, executed, last_values, values_at
from backtrail_tracer.reader import Ending, read, sha256
from backtrail_tracer.trace import Trace
from tests.tracer.logs import BEGIN, END, PATH, call, code, leave, line, lines_of, trace

MODULE, MEAN = code(1, "<module>", 1), code(2, "mean", 2)
FUNCTION = ["=function", "<function mean>"]


def program(*more: Any) -> Trace:
    return trace(
        MODULE, MEAN,
        call(1, 1), line(1), line(2, LIMIT=3), leave(None, mean=FUNCTION),
        ["item", 1, "test_a", "/ws/test_stats.py", 1],
        call(2, 2, xs=[3, 5]),
        line(3, frame=2), line(4, frame=2, total=0), line(5, frame=2, x=3),
        line(4, 2, frame=2, total=3), line(5, 2, frame=2, x=5), line(4, 3, frame=2, total=8),
        line(6, frame=2), leave(4.0, frame=2),
        ["done", 1, "passed", 0.1, ""],
        *more, END,
    )  # fmt: skip


SECOND_TEST = (
    ["item", 2, "test_b", "/ws/test_stats.py", 5],
    call(3, 2, xs=["=tuple", "('a', 'b')"]),
    line(3, frame=3), line(4, frame=3, total=0), line(5, frame=3, x="a"),
    ["raise", 3, 5, 9, "TypeError", "no"], ["unwind", 3, 5, 9, {}, False],
    ["failure", {"item": 2, "type": "TypeError", "message": "no", "frames": [
        {"path": str(PATH), "line": 5, "end_line": 5, "col": 8, "end_col": 25, "name": "mean", "traced": True,
         "locals": {"xs": ["tuple", "('a', 'b')"], "total": ["int", "0"], "x": ["str", "'a'"],
                    "hidden": ["str", "'seen'"]}}]}],
    ["done", 2, "failed", 0.1, "no"],
)  # fmt: skip


def shown(series: Any) -> tuple[str, str, int] | None:
    return series and (series.first.text, series.last.text, series.count)


CASES: Mapping[str, tuple[int, str, tuple[Any, Any] | None]] = {
    # line, expression, (before, after) as (first, last, count)
    "before its first assignment there is nothing, after it the value": (3, "total", (None, ("0", "0", 1))),
    "several hits": (5, "total", (("0", "3", 2), ("3", "8", 2))),
    "a name that is only read": (5, "x", (("3", "5", 2), None)),
    "the target of a loop": (4, "x", (("3", "5", 2), ("3", "5", 2))),
    "an argument": (6, "xs", (("[3, 5]", "[3, 5]", 1), None)),
    "an argument at its def": (2, "xs", (("[3, 5]", "[3, 5]", 1), None)),
    "a variable of the module inside a function": (6, "LIMIT", (("3", "3", 1), None)),
    "a variable of the module where it is made": (1, "LIMIT", (None, ("3", "3", 1))),
    "a subscript of a list that was recorded whole": (6, "xs[0]", (("3", "3", 1), None)),
    "a subscript from the end": (6, "xs[-1]", (("5", "5", 1), None)),
    "a subscript by a name": (6, "xs[LIMIT]", None),
    "an attribute is not recorded": (6, "xs.append", None),
    "a call is never worked out": (6, "len(xs)", None),
    "a name that nobody knows": (6, "nobody", None),
    "a line that did not run": (99, "total", None),
    "a literal says it already": (6, "3", None),
    "no expression": (6, "for x in", None),
    "nothing": (6, "", None),
}


@pytest.mark.parametrize("name", CASES)
def test_values_at(name: str) -> None:
    number, expression, expected = CASES[name]
    got = values_at(program(), PATH, number, expression)
    if expected is None:
        assert got is None
    else:
        assert got is not None
        assert (shown(got.before), shown(got.after)) == expected
        assert got.notes == (("as the function was called",) if number == 2 else ())


@pytest.mark.parametrize(("number", "known"), [(1, False), (2, True), (4, True), (5, True), (6, False)])
def test_an_argument_is_known_in_a_signature_of_several_lines(number: int, known: bool) -> None:
    made = trace(code(2, "mean", 2), call(1, 2, xs=[1]), line(5), leave())
    assert (values_at(made, PATH, number, "xs") is not None) == known


def test_several_tests_are_said_and_all_types_are_listed() -> None:
    got = values_at(program(*SECOND_TEST), PATH, 5, "x")
    assert got is not None
    assert (got.first.text, got.last.text, got.count, got.types) == ("3", "'a'", 3, ("int", "str"))
    assert got.notes == ("in 2 tests",)
    assert got.at_failure is not None and got.at_failure.text == "'a'"


def test_the_locals_of_a_failure_are_known_in_the_whole_function() -> None:
    got = values_at(program(*SECOND_TEST), PATH, 3, "hidden")
    assert got is not None and got.before is None
    assert got.best.last.text == "'seen'"


def test_another_function_does_not_get_them() -> None:
    assert values_at(program(*SECOND_TEST), PATH, 1, "hidden") is None


def test_what_was_capped_is_said() -> None:
    got = values_at(program(["cap", 2, 5, 2]), PATH, 5, "x")
    assert got is not None and got.notes == ("first 2 hits kept",)


def test_an_uncertain_change_is_said() -> None:
    made = trace(MEAN, call(1, 2), line(3), line(4, gap=True, total=9), leave())
    got = values_at(made, PATH, 3, "total")
    assert got is not None and "may have changed it" in got.notes[0]


@pytest.mark.parametrize(
    "value",
    [
        ["=list", "[1, 2, ...]", {"len": 99, "cut": True}],
        ["=dict", "{}", {"redacted": True}],
        ["=Point", "[1]"],
        ["=list", "[1]", {"len": 2}],
    ],
)
def test_a_container_that_was_not_recorded_whole_gives_no_item(value: Any) -> None:
    made = trace(MEAN, call(1, 2, xs=value), line(3), leave())
    assert values_at(made, PATH, 3, "xs") is not None
    assert values_at(made, PATH, 3, "xs[0]") is None


def test_last_values() -> None:
    got = {
        (each.line, each.name): (each.value.text, each.count, each.capped)
        for each in last_values(program(), PATH)
    }
    assert got == {
        (1, "LIMIT"): ("3", 1, False),
        (3, "total"): ("0", 1, False),
        (4, "x"): ("5", 2, False),
        (5, "total"): ("8", 2, False),
    }


def test_the_values_of_the_failing_test_go_before_those_of_a_later_one_that_passed() -> None:
    def run(number: int, frame: int, value: int, outcome: str) -> list[Any]:
        begin = ["item", number, f"test_{number}", str(PATH), 1]
        body = [call(frame, 2), line(3, frame=frame), leave(frame=frame, total=value)]
        return [begin, *body, ["done", number, outcome, 0.1, ""]]

    failure = {"item": 2, "type": "AssertionError", "message": "", "frames": [], "chain": []}
    runs = [*run(1, 1, 1, "passed"), *run(2, 2, 2, "failed"), ["failure", failure], *run(3, 3, 3, "passed")]
    (last,) = last_values(trace(MEAN, *runs), PATH)
    assert (last.value.text, last.count, last.item) == ("2", 1, 2)


def test_the_last_value_of_a_capped_line_is_the_one_its_frame_was_left_with() -> None:
    made = trace(
        MEAN,
        call(1, 2),
        line(3),
        line(4, total=0),
        line(5, total=1),
        ["cap", 2, 4, 1],
        leave(total=999, gap=True),
    )
    by_line = {each.line: each for each in last_values(made, PATH)}
    last = by_line[4]
    assert (last.value.text, last.capped, last.uncertain) == ("999", True, True)
    assert (by_line[3].value.text, by_line[3].capped) == ("0", False)
    assert 5 not in by_line, "another line may have made it"


def test_executed() -> None:
    assert executed(program(), PATH) == {1, 2, 3, 4, 5, 6}
    assert executed(program(), Path("/ws/other.py")) == set()


def test_callers_end_even_if_the_log_goes_in_circles() -> None:
    made = trace(MEAN, call(1, 2, parent=2), call(2, 2, parent=1))
    assert [frame.id for frame in callers(made, made.frames[1])] == [2, 1]


BEFORE = "a = 1\nb = 2\nc = 3\nd = 4\n"


def aged(path: Path, overlay: dict[Path, str]) -> Trace:
    file = ["file", 1, str(path), sha256(BEFORE)]
    return read(lines_of(BEGIN, file, END), "e", Ending(), overlay)


def test_the_text_on_disk_is_kept_only_if_it_is_the_one_that_ran(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(BEFORE)
    assert aged(path, {}).sources == {path: BEFORE}
    path.write_text("saved again meanwhile")
    assert aged(path, {}).sources == {}
