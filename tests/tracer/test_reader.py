"""From log to trace: hits get their effects, ends get their words, and nothing in a log can raise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrail_probe.wire import EVENTS
from backtrail_tracer.reader import Ending, committed, read, read_bytes
from backtrail_tracer.trace import Trace
from tests.tracer.logs import BEGIN, END, FILE, PATH, call, code, leave, line, lines_of, trace, write_log


def effects(made: Trace) -> list[tuple[int, dict[str, str]]]:
    return [(hit.line, {name: value.text for name, value in hit.changed.items()}) for hit in made.hits]


def test_a_change_is_put_on_the_line_that_made_it() -> None:
    made = trace(code(), call(xs=[3, 5]), line(2), line(3, total=8), leave(4, n=2), END)
    assert effects(made) == [(2, {"total": "8"}), (3, {"n": "2"})]
    frame = made.frames[1]
    assert (frame.code.name, frame.code.path, frame.left_by) == ("mean", PATH, "return")
    assert frame.result is not None and frame.result.text == "4"
    assert {name: value.text for name, value in frame.arguments.items()} == {"xs": "[3, 5]"}
    assert [hit.order for hit in made.hits] == [0, 1]
    assert not any(hit.uncertain for hit in made.hits)


def test_frames_do_not_mix() -> None:
    made = trace(
        code(), call(1), line(2, frame=1), call(2, parent=1), line(5, frame=2), line(6, frame=2, b=1),
        leave(0, frame=2, c=2), line(3, frame=1, a=9), leave(0, frame=1),
    )  # fmt: skip
    assert effects(made) == [(2, {"a": "9"}), (5, {"b": "1"}), (6, {"c": "2"}), (3, {})]


def test_a_gap_makes_the_change_uncertain() -> None:
    made = trace(code(), call(), line(2), line(3, gap=True, x=1), leave(x=2))
    assert [hit.uncertain for hit in made.hits] == [True, False]


def test_what_was_set_before_the_first_recorded_line_is_found_there() -> None:
    made = trace(code(), call(), line(7, gap=True, x=1), leave())
    assert {name: value.text for name, value in made.hits[0].found.items()} == {"x": "1"}


def test_an_exception_marks_the_line_it_left() -> None:
    made = trace(
        code(), call(), line(2), ["raise", 1, 2, 25, "TypeError", "no"],
        ["unwind", 1, 2, 26, {"e": ["int", "1"]}, False],
    )  # fmt: skip
    assert made.hits[0].raised == "TypeError: no"
    assert made.hits[0].changed["e"].text == "1"
    assert made.frames[1].left_by == "unwind"


def test_an_exception_on_a_line_that_was_not_recorded_marks_no_other() -> None:
    made = trace(code(), call(), line(2), ["raise", 1, 5, 25, "TypeError", ""])
    assert made.hits[0].raised is None


def test_a_generator_goes_on_in_its_frame() -> None:
    made = trace(
        code(), call(), line(2), ["yield", 1, 2, 21, ["int", "1"], {"a": ["int", "1"]}, False],
        ["resume", 1, 2, 22], line(3, b=2), leave(),
    )  # fmt: skip
    assert effects(made) == [(2, {"a": "1", "b": "2"}), (3, {})]
    assert made.loose_ends == ()


def test_items_and_the_frames_in_them() -> None:
    made = trace(
        code(),
        ["item", 1, "test_a", "/ws/test_stats.py", 3],
        call(1),
        ["done", 1, "passed", 0.25, ""],
        ["item", 2, "test_b", "/ws/test_stats.py", 9],
        call(2),
        ending=Ending("timeout", "stopped after 1 s (limits.wallSeconds)"),
    )
    assert [(item.name, item.outcome, item.seconds) for item in made.items] == [
        ("test_a", "passed", 0.25),
        ("test_b", None, 0.0),
    ]
    assert [made.frames[n].item for n in (1, 2)] == [1, 2]
    assert made.frames[2].left_by == "open"
    assert made.passed_items == made.items[:1]


def test_failures() -> None:
    frame = {"path": str(PATH), "line": 3, "end_line": 3, "col": 4, "end_col": 9, "name": "mean",
             "locals": {"xs": ["list", "[]", {"id": 4, "len": 0}]}, "traced": True}  # fmt: skip
    outside = {
        "path": "/lib/x.py",
        "line": 8,
        "end_line": 8,
        "col": -1,
        "end_col": -1,
        "name": "f",
        "traced": False,
    }
    failure = {"item": None, "type": "ZeroDivisionError", "message": "division by zero",
               "frames": [frame, outside], "chain": ["KeyError: 'a'"],
               "expected": ["int", "1"], "actual": None}  # fmt: skip
    made = trace(["failure", failure])
    (got,) = made.failures
    assert got.where is not None and got.where.locals["xs"].length == 0
    assert (got.type, got.message, got.chain) == ("ZeroDivisionError", "division by zero", ("KeyError: 'a'",))
    assert got.expected is not None and got.expected.text == "1" and got.actual is None


FAILED = ["end", {"status": "failed", "exit_code": 1, "seconds": 1, "message": "x"}]
ITSELF = "the program ended itself"


@pytest.mark.parametrize(
    ("records", "ending", "status", "message"),
    [
        ([END], Ending(exit_code=0), "completed", ""),
        ([FAILED], Ending(exit_code=1), "failed", "x"),
        ([], Ending(exit_code=3), "died", f"{ITSELF} at once with exit status 3 (os._exit or a crash)"),
        ([], Ending(exit_code=-11), "died", "the program was ended by signal SIGSEGV"),
        (
            [code(), call(), line(12)],
            Ending("timeout", "stopped after 10 s (limits.wallSeconds)"),
            "timeout",
            "stopped after 10 s (limits.wallSeconds); last line run: stats.py:12",
        ),
        ([END], Ending("killed", "printed too much"), "killed", "printed too much"),
        ([["end", {"status": "splendid"}]], Ending(exit_code=0), "died", None),
    ],
)  # fmt: skip
def test_status(records: list[Any], ending: Ending, status: str, message: str | None) -> None:
    made = trace(*records, ending=ending)
    assert made.status == status
    assert message is None or made.message == message


def test_a_program_that_did_not_start_says_what_it_said() -> None:
    made = trace(ending=Ending(exit_code=1, stderr="Traceback\nImportError: no pytest\n"), begin=False)
    assert (made.status, made.message) == (
        "died",
        "the program could not be started (exit 1): ImportError: no pytest",
    )


def test_limits_and_caps_in_words() -> None:
    made = trace(code(), ["cap", 1, 4, 10], ["limit", "events", 100000, 5], ["limit", "depth", 200, 5])
    assert made.limits == (
        "recording stopped after 100,000 events",
        "calls deeper than 200 were not recorded",
    )
    cap = made.cap_of(PATH, 4)
    assert cap is not None and cap.kept == 10


def test_side_effects() -> None:
    made = trace(
        [
            "guard",
            {"kind": "write", "detail": "/etc/x", "path": str(PATH), "line": 4, "allowed": False, "t": 1},
        ]
    )
    assert (made.side_effects[0].kind, made.side_effects[0].line, made.side_effects[0].allowed) == (
        "write",
        4,
        False,
    )


@pytest.mark.parametrize(
    "record",
    [
        ["what"],
        [],
        {},
        None,
        5,
        "line",
        [["line"]],
        ["line", 99, 1, 1, 1, {}, False],
        ["line", 1, "x", 1, 1, {}, False],
        ["line", 1, 2, 1, 1, {"a": ["int"]}, False],
        ["line", 1, 2, 1, 1, {"a": 3}, False],
        ["line", 1, 2, 1, 1, {"a": ["int", 3]}, False],
        ["line", {}, 2, 1, 1, {}, False],
        ["call", 5, None, 99, 1, 1, {}, False],
        ["file", "x", "/p", "h"],
        ["item", 1, None, None, 1],
        ["done", 44, "passed", 1, ""],
        ["failure", {}],
        ["failure", {"type": "E", "frames": [3]}],
        ["guard", []],
        ["end", {"status": ["completed"]}],
        ["begin", 3],
    ],
)
def test_a_record_that_makes_no_sense_is_a_loose_end_and_the_next_is_read(record: Any) -> None:
    made = trace(code(), call(), record, line(2), END)
    assert len(made.loose_ends) == 1
    assert made.status == "completed"
    assert [hit.line for hit in made.hits] == [2]


def test_a_short_record_may_be_the_first_of_its_line() -> None:
    made = trace(
        code(), call(), line(2, hit=16), ["again", 1, 3, {}], ["again", 1, 2, {}], ["again", 1, 3, {}]
    )
    assert [(hit.line, hit.number) for hit in made.hits] == [(2, 16), (3, 1), (2, 17), (3, 2)]
    assert made.loose_ends == ()


def test_hits_without_a_number_are_counted_in_each_item() -> None:
    one, two = (["item", number, f"test_{number}", None, 0] for number in (1, 2))
    made = trace(code(), one, call(), line(2, hit=None), line(2, hit=None), two, call(2), line(2, 2, frame=2),
                 line(2, hit=None, frame=2), call(3), line(3, hit=None, frame=3))  # fmt: skip
    assert [hit.number for hit in made.hits] == [1, 2, 2, 3, 1]


def test_torn_lines() -> None:
    log = lines_of(BEGIN, FILE, code(), call()) + b'["line",1,2,1,\n' + b"\xff\xfe\n" + lines_of(line(3))
    made = read(log, "e", Ending())
    assert [hit.line for hit in made.hits] == [3]
    assert len(made.loose_ends) == 2


def test_one_line_cannot_smuggle_in_two_records() -> None:
    made = read(lines_of(BEGIN, FILE, code(), call()) + b'["cap",1,4,10],["cap",1,5,10]\n', "e", Ending())
    assert made.caps == ()
    assert len(made.loose_ends) == 1


def test_loose_ends_are_bounded_and_counted() -> None:
    made = trace(*[["what"]] * 1000)
    assert len(made.loose_ends) == 21
    assert made.loose_ends[-1] == "and 980 more records that make no sense"


def test_text_can_be_encoded_whatever_the_program_had() -> None:
    made = trace(code(), call(bad=["=str", "'\ud800'"]))
    made.frames[1].arguments["bad"].text.encode("utf-8")


@pytest.mark.parametrize(
    ("count", "read_lines"),
    [(None, 4), (0, 4), (40, 4), (10**9, 4)],
)
def test_events_behind_the_count_are_read_too(count: int | None, read_lines: int, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", lines_of(BEGIN, FILE, code(), call()), count)
    assert len([line for line in read_bytes(log).split(b"\n") if line.startswith(b"[")]) == read_lines


@pytest.mark.parametrize("content", [b"", b"BT", b"WHATEVER01234567rest"])
def test_what_is_no_log_is_empty(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(content)
    assert read_bytes(tmp_path / "log") == b""
    assert read_bytes(tmp_path / "missing") == b""
    assert committed(content) == 0


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_GOOD = [
    BEGIN,
    FILE,
    code(),
    call(),
    line(2),
    line(3, x=1),
    leave(1),
    ["item", 1, "t", "/p", 1],
    ["done", 1, "passed", 0.1, ""],
]


@st.composite
def _records(draw: st.DrawFn) -> Any:
    """Sound records, sound ones with a part exchanged, and anything that begins as a record does."""
    if draw(st.booleans()):
        record = json.loads(json.dumps(draw(st.sampled_from(_GOOD))))
        if draw(st.booleans()):
            record[draw(st.integers(0, len(record) - 1))] = draw(_JSON)
        return record
    return [draw(st.sampled_from(EVENTS)), *draw(st.lists(_JSON, max_size=8))]


def use(made: Trace) -> None:
    """Everything that an editor asks must be askable of any trace."""
    from backtrail_tracer.questions import executed, last_values, values_at

    for path in made.files:
        executed(made, path)
        last_values(made, path)
        for number in list(made.lines(path))[:3]:
            values_at(made, path, number, "x")
            values_at(made, path, number, "x[0]")


@settings(max_examples=300, deadline=None)
@given(st.lists(_records(), max_size=12))
def test_no_record_can_raise(records: list[Any]) -> None:
    use(read(b"".join(json.dumps(record).encode() + b"\n" for record in records), "e", Ending()))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400))
def test_no_bytes_can_raise(noise: bytes, place: int) -> None:
    log = lines_of(BEGIN, FILE, code(), call(), line(2), line(3, x=1), leave(1), END)
    use(read(log[:place] + noise + log[place:], "e", Ending()))


def test_a_record_that_the_program_was_killed_in_is_not_read(tmp_path: Path) -> None:
    whole = lines_of(BEGIN, FILE, code(), call())
    log = write_log(tmp_path / "log", whole + b'["line",1,2,', len(whole))
    assert read_bytes(log) == whole
