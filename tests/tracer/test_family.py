"""A program and its children as one: on one axis of time, and no two things under one number."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backtrail_probe.wire import CHILDREN, MOST_CHILDREN
from backtrail_tracer.questions import values_at
from backtrail_tracer.reader import Ending, read
from backtrail_tracer.trace import Trace
from backtrail_tracer.trace_json import decode, encode
from tests.tracer.logs import BEGIN, FILE, PATH, code, lines_of, value, write_log

ORIGIN = 5_000_000


def process(begun_us: int, *records: Any) -> list[Any]:
    """The records of one process that began so long after the program."""
    begin = ["begin", {**BEGIN[1], "t0": ORIGIN + begun_us * 1000}]
    return [begin, ["item", 1, "test_a", str(PATH), 3], FILE, code(), *records]


def call(frame: int, at: int, parent: int | None = None, **arguments: Any) -> list[Any]:
    return ["call", frame, parent, 1, 1, at, {k: value(v) for k, v in arguments.items()}, False]


def line(frame: int, number: int, hit: int, at: int, **changed: Any) -> list[Any]:
    return ["line", frame, number, hit, at, {k: value(v) for k, v in changed.items()}, False]


def family(folder: Path, program: list[Any], *children: list[Any]) -> Trace:
    log = write_log(folder / "log", lines_of(*program))
    beside = folder / f"log{CHILDREN}"
    beside.mkdir(exist_ok=True)
    for number, records in enumerate(children, start=1):
        write_log(beside / str(number), lines_of(*records))
    return read(log, "main", Ending(exit_code=0))


def test_hits_are_in_the_order_of_time(tmp_path: Path) -> None:
    program = process(
        0, call(1, 1), line(1, 2, 1, 10), line(1, 3, 1, 500), ["return", 1, 3, 510, None, {}, False]
    )
    child = process(100, call(1, 1), line(1, 2, 1, 20), line(1, 3, 1, 60, n=1))
    made = family(tmp_path, program, child)
    told = [(made.frames[hit.frame].process, hit.line, hit.number, hit.time_us) for hit in made.hits]
    assert told == [(0, 2, 1, 10), (1, 2, 2, 120), (1, 3, 2, 160), (0, 3, 1, 500)]
    assert [hit.order for hit in made.hits] == [0, 1, 2, 3]
    assert [(frame.process, frame.entered_us, frame.item) for frame in made.frames.values()] == [
        (0, 1, 1),
        (1, 101, 1),
    ]
    assert len({frame.thread for frame in made.frames.values()}) == 2
    assert [item.name for item in made.items] == ["test_a"]


def test_objects_of_two_processes_are_no_one_object(tmp_path: Path) -> None:
    held = ["=list", "[1]", {"id": 77, "len": 1}]
    program = process(0, call(1, 1, a=held), line(1, 2, 1, 10))
    made = family(tmp_path, program, process(1, call(1, 1, a=held), line(1, 2, 1, 10)))
    assert len({frame.arguments["a"].id for frame in made.frames.values()}) == 2
    assert {frame.arguments["a"].text for frame in made.frames.values()} == {"[1]"}


def test_caps_limits_and_side_effects_are_those_of_all(tmp_path: Path) -> None:
    blocked = [
        "guard",
        {"kind": "write", "detail": "/x", "path": str(PATH), "line": 2, "allowed": False, "t": 1},
    ]
    program = process(0, ["cap", 1, 4, 10], ["limit", "depth", 200, 5])
    child = process(1, ["cap", 1, 4, 10], ["cap", 1, 5, 10], ["limit", "events", 100, 5], blocked)
    made = family(tmp_path, program, child, child)
    assert [(cap.line, cap.kept) for cap in made.caps] == [(4, 30), (5, 20)]
    assert made.limits == (
        "calls deeper than 200 were not recorded",
        "in a child process, recording stopped after 100 events",
    )
    assert len(made.side_effects) == 2


def test_a_hover_says_that_it_was_in_a_child(tmp_path: Path) -> None:
    child = process(1, call(1, 1, n=4), line(1, 2, 1, 10), line(1, 3, 1, 11))
    made = family(tmp_path, process(0), child)
    found = values_at(made, PATH, 2, "n")
    assert found is not None and (found.last.text, found.notes) == ("4", ("in a child process",))
    both = family(tmp_path, process(0, call(1, 1, n=3), line(1, 2, 1, 10)), child, child)
    found = values_at(both, PATH, 2, "n")
    assert found is not None and (found.count, found.notes) == (3, ("some in 2 child processes",))


def test_what_is_no_log_of_a_child_is_no_matter(tmp_path: Path) -> None:
    program = process(0, call(1, 1), line(1, 2, 1, 10))
    plain = family(tmp_path, program)
    beside = tmp_path / f"log{CHILDREN}"
    (beside / "1").write_bytes(b"")
    (beside / "2").write_bytes(b"\0" * 5000)
    (beside / "3").mkdir()
    (beside / str(MOST_CHILDREN + 1)).write_bytes(b"\xff")
    write_log(beside / "4", b'["call",1]\nnonsense\n')
    made = read(tmp_path / "log", "main", Ending(exit_code=0))
    assert (made.hits, made.frames, made.limits) == (plain.hits, plain.frames, plain.limits)
    assert len(made.loose_ends) == 2


steps = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(0, 30)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 100), steps), min_size=1, max_size=4))
def test_nothing_is_lost_or_mixed_up(tmp_path_factory: Any, made_of: list[tuple[int, list[Any]]]) -> None:
    folder = tmp_path_factory.mktemp("family")
    logs = []
    for begun, wanted in made_of:
        counts: Counter[int] = Counter()
        at, records = 0, [call(frame, 0, n=frame) for frame in (1, 2, 3)]
        for frame, number, later in wanted:
            counts[number] += 1
            at += later
            records.append(line(frame, number, counts[number], at))
        logs.append(process(begun, *records))
    made = family(folder, *logs)
    alone = [read(lines_of(*log), "main", Ending(exit_code=0)) for log in logs]
    assert len(made.hits) == sum(len(each.hits) for each in alone)
    assert len(made.frames) == sum(len(each.frames) for each in alone)
    assert [hit.order for hit in made.hits] == list(range(len(made.hits)))
    assert len({(hit.line, hit.number) for hit in made.hits}) == len(made.hits)
    for process_number, each in enumerate(alone):
        own = [hit for hit in made.hits if made.frames[hit.frame].process == process_number]
        assert [hit.line for hit in own] == [hit.line for hit in each.hits]
        assert [made.frames[hit.frame].arguments for hit in own] == [
            each.frames[hit.frame].arguments for hit in each.hits
        ]
    assert decode(encode(made)).frames == made.frames
