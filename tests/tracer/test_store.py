"""The latest traces, by entry and by file."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from backtrail_tracer.store import TraceStore
from backtrail_tracer.trace import Item, Status, Trace
from tests.tracer.logs import PATH, call, code, line, trace

A = evolve(trace(code(), call(), line(2)), entry="a", status="completed")
OTHER = Path("/ws/other.py")


def made(entry: str, status: Status = "completed", base: Trace = A) -> Trace:
    return evolve(base, entry=entry, status=status)


def test_the_newest_of_each_entry_and_the_last_good_and_failing_one() -> None:
    store = TraceStore()
    good, bad, worse = made("a"), made("a", "failed"), made("a", "timeout")
    for each in (good, bad, worse):
        store.put(each)
    assert store.by_entry("a") is worse
    assert (store.last_good("a"), store.last_failing("a")) == (good, worse)
    assert store.by_entry("b") is None


def test_the_latest_of_a_file_is_one_in_which_it_ran() -> None:
    store = TraceStore()
    ran, only_loaded = made("a"), made("b", base=evolve(A, hits=(), frames={}))
    store.put(ran)
    store.put(only_loaded)
    assert store.latest(PATH) is ran
    assert store.latest(OTHER) is None
    newer = made("c")
    store.put(newer)
    assert store.latest(PATH) is newer


def test_a_cancelled_run_replaces_nothing() -> None:
    store = TraceStore()
    good = made("a")
    store.put(good)
    store.put(made("a", "cancelled"))
    assert store.by_entry("a") is good


def test_what_failed_last() -> None:
    store = TraceStore()
    item = Item(1, "test_x", Path("/ws/tests/test_x.py"), 3, "failed", 0.1)
    store.put(evolve(made("tests-of:a.py", "failed"), items=(item,)))
    store.put(made("b"))
    assert store.failed_last(Path("/ws")) == {"tests-of:a.py", "tests/test_x.py"}
    store.put(made("tests-of:a.py"))
    assert store.failed_last(Path("/ws")) == frozenset()


def test_old_entries_are_dropped() -> None:
    store = TraceStore(kept=2)
    for entry in ("a", "b", "a", "c"):
        store.put(made(entry))
    assert [store.by_entry(entry) is not None for entry in ("a", "b", "c")] == [True, False, True]
    assert store.last_good("b") is None
