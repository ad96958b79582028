"""A run that fails where not all hits were kept is run again for the last hits before the failure."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from backtrail_probe.wire import ProcessLimits, RecordLimits
from backtrail_tracer.entries import Entry
from backtrail_tracer.questions import values_at
from backtrail_tracer.second_pass import settle
from backtrail_tracer.session import Run, Session
from backtrail_tracer.slicing import History, failure_hit, slice_failure
from backtrail_tracer.trace import Cap, Trace
from tests.tracer.logs import PATH, call, code, leave, line, trace
from tests.tracer.trees import write

PATIENT = ProcessLimits(wall_s=60.0, cpu_s=60.0)
LONG = """
    def double(value):
        twice = value * 2
        return twice

    def run(count):
        total = 0
        for i in range(count):
            total += double(i)
            share = total / (4999 - i)
        return total

    run(6000)
"""


def entry_of(root: Path, source: str) -> Entry:
    path = write(root, {"work.py": source}) / "work.py"
    return Entry("script:work.py", "script", (str(path),), (), root, "", "", (path,))


async def run(session: Session, source: str, limits: ProcessLimits = PATIENT) -> tuple[Run, Trace]:
    """The first run, and the trace that is kept in the end."""
    done = await session.run(entry_of(session.root, source), process_limits=limits)
    return done, await done.again() if done.again else done.trace


async def test_a_loop_that_fails_at_hit_5000(bare: Session) -> None:
    first, made = await run(bare, LONG)
    path = bare.root / "work.py"
    assert first.trace.failures[0].type == "ZeroDivisionError"
    assert max(hit.number for hit in first.trace.lines(path)[9]) == 10
    assert (made.passes, made.flaky, made.status, made.loose_ends) == (2, False, "failed", ())
    assert made.run == first.trace.run
    assert [hit.number for hit in made.lines(path)[9]] == [*range(1, 11), *range(4991, 5001)]
    cap = made.cap_of(path, 9)
    assert cap is not None
    assert cap.words == "first 10 hits, then the last 10 of 5,000 kept, 4,980 in between not"


async def test_the_failing_iteration_is_what_a_hover_shows(bare: Session) -> None:
    _, made = await run(bare, LONG)
    path = bare.root / "work.py"
    i, twice = values_at(made, path, 9, "i"), values_at(made, path, 3, "twice")
    assert i is not None and (i.first.text, i.last.text, i.count) == ("0", "4999", 20)
    assert twice is not None and (twice.first.text, twice.last.text) == ("0", "9998")
    assert "4,980 in between not" in "; ".join(i.notes)
    total = values_at(made, path, 8, "total")
    assert total is not None and total.after is not None and total.after.last.text == "24995000"


async def test_the_slice_goes_through_the_last_hits_and_is_certain_there(bare: Session) -> None:
    _, made = await run(bare, LONG)
    path = bare.root / "work.py"
    history = History(made, lambda file: made.sources[file])
    criterion = failure_hit(history, made.failures[0])
    assert criterion is not None and (criterion.line, criterion.number) == (9, 5000)
    assert criterion.raised == "ZeroDivisionError: division by zero"
    steps = slice_failure(history, made.failures[0]).steps
    last = {(step.hit.line, step.hit.number): step for step in steps}
    assert not last[8, 5000].uncertain and not last[3, 5000].uncertain
    assert last[8, 4991].uncertain or last[8, 10].uncertain, "beyond the gap nothing is certain"
    assert {history.path(step.hit) for step in steps} == {path}


async def test_what_changed_in_between_is_put_on_no_line(bare: Session) -> None:
    """Between the first and the last hits, it is not known which line made a change."""
    _, made = await run(bare, LONG)
    hits = made.lines(bare.root / "work.py")
    # The effect of a hit is told by the next one of its frame: the tenth's is in the gap.
    made_share = [*range(1, 10), *range(4991, 5000)]
    assert [hit.number for hit in hits[9] if hit.changed.keys() == {"share"}] == made_share
    assert all(hit.changed.keys() <= {"share"} for hit in hits[9])
    assert not any(hit.uncertain for line in (8, 9) for hit in hits[line])
    (after,) = [hit for hit in hits[7] if hit.after_gap] or [hit for hit in hits[8] if hit.after_gap]
    assert {"total", "i"} <= set(after.found) | set(after.changed)


async def test_a_run_that_keeps_all_of_the_failing_function_is_not_repeated(bare: Session) -> None:
    source = """
        def busy():
            for i in range(100):
                total = i

        def fails(x):
            return 1 / x

        busy()
        fails(0)
    """
    done, _ = await run(bare, source.replace("busy()\n        fails", "fails"))
    assert done.again is None


async def test_a_program_that_fails_only_the_first_time_is_flaky(bare: Session, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    session = evolve(bare, allow=(f"write:{tmp_path}",))
    source = f"""
        from pathlib import Path

        marker = Path({str(marker)!r})
        for i in range(50):
            if i == 40 and not marker.exists():
                marker.write_text("was here")
                raise RuntimeError("only once")
    """
    first, made = await run(session, source)
    assert first.trace.failures[0].type == "RuntimeError"
    assert (made.flaky, made.passes) == (True, 1)
    assert made.again == "flaky: RuntimeError in work.py:7 the first time, passed when run again"
    assert made.failures == first.trace.failures and made.hits == first.trace.hits


async def test_a_second_run_that_comes_to_its_limit_changes_nothing(bare: Session) -> None:
    source = """
        def spin(count):
            total = 0
            for i in range(count):
                total += i
            return total

        spin(4_000_000)
        for i in range(30):
            share = 1 / (20 - i)
    """
    entry = entry_of(bare.root, source)
    first = (await bare.run(entry, process_limits=PATIENT)).trace
    short = {"record_limits": RecordLimits(), "process_limits": ProcessLimits(wall_s=1.0), "overlay": {}}
    made = await bare._again(entry, short, first)
    assert made.again.startswith("run again for its last hits, but that run reached its time limit")
    assert (made.passes, made.flaky) == (1, False)
    assert made.hits == first.hits and made.failures == first.failures


async def test_tests_that_pass_have_their_own_first_hits_in_a_second_pass(session: Session) -> None:
    source = """
        def total(xs):
            result = 0
            for x in xs:
                result += x
            return 1 / result

        def test_good():
            assert total(range(100)) < 1

        def test_bad():
            assert total([0] * 100) < 1
    """
    path = write(session.root, {"test_total.py": source}) / "test_total.py"
    entry = Entry("pytest:test_total.py", "pytest", (str(path),), (), session.root, "", "", (path,))
    done = await session.run(entry, process_limits=PATIENT)
    assert done.again is not None
    made = await done.again()
    assert made.passes == 2
    numbers: dict[int | None, list[int]] = {}
    for hit in made.lines(path)[4]:
        numbers.setdefault(made.frames[hit.frame].item, []).append(hit.number)
    good, bad = (item.id for item in made.items)
    assert numbers[good] == list(range(1, 11)), "of a test that passed, the last hits help nobody"
    assert numbers[bad] == [*range(1, 11), *range(91, 101)]


# By hand, for what a program cannot show.


def ring(at: int, since: int, record: list[object]) -> list[object]:
    return ["ring", at, since, record]


def test_the_records_of_rings_stand_where_they_belong() -> None:
    made = trace(
        code(), call(), line(1), line(2, a=1),
        leave(9, gap=True),
        ring(10**6, 1, line(3, 5, a=2)), ring(10**6, 3, line(3, 7, a=4)),
    )  # fmt: skip
    assert [(hit.line, hit.number) for hit in made.hits] == [(1, 1), (2, 1), (3, 5), (3, 7)]
    assert made.hits[1].changed["a"].text == "2"
    assert made.hits[3].after_gap and made.hits[3].found["a"].text == "4"
    assert not made.hits[2].changed


def test_a_ring_that_makes_no_sense_is_a_loose_end() -> None:
    made = trace(
        code(), call(), line(1), ["ring", 5], ["ring", 5, "x", line(2)], ["ring", 5, 1, [[]]], line(3)
    )
    assert [hit.line for hit in made.hits] == [1, 3]
    assert len(made.loose_ends) == 3


def test_files_that_changed_in_between_are_said() -> None:
    first = trace(code(), call(), line(1))
    second = evolve(first, files={PATH: "1" * 64})
    assert settle(first, second).again == ("run again for its last hits, but the files had changed meanwhile")


@pytest.mark.parametrize(
    ("cap", "words"),
    [
        (Cap(PATH, 1, 10), "first 10 hits kept"),
        (Cap(PATH, 1, 1), "first hit kept"),
        (Cap(PATH, 1, 10, 0, 400), "first 10 hits of 400 kept"),
        (Cap(PATH, 1, 10, 10, 20), "first 10 hits, then the last 10 of 20 kept, 0 in between not"),
    ],
)
def test_caps_in_words(cap: Cap, words: str) -> None:
    assert cap.words == words


async def test_both_recorders_keep_the_same_last_hits(tmp_path: Path) -> None:
    from tests import pythons
    from tests.tracer.conftest import _session

    new = pythons.monitoring()
    if new is None:
        pytest.skip("no Python with sys.monitoring")
    session = _session(Path(new), tmp_path)
    entry = entry_of(session.root, LONG)
    limits = {"record_limits": RecordLimits(), "process_limits": PATIENT, "ring": 10}
    made = [
        (await session._run(entry, {**limits, "recorder": recorder})).trace
        for recorder in ("monitoring", "settrace")
    ]
    assert [trace.recorder for trace in made] == ["monitoring", "settrace"]
    one, other = ([(h.frame, h.line, h.number, h.changed, h.found) for h in t.hits] for t in made)
    assert one == other
