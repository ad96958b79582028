"""Both recorders write the same trace of the same program, with caps and without."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backtrail_probe.wire import RecordLimits
from tests import pythons
from tests.probe.harness import Ran, run_probe
from tests.probe.programs import programs

NEW = ".".join(map(str, max(pythons.found())))
OLD = next((".".join(map(str, v)) for v in sorted(pythons.found(), reverse=True) if v < (3, 12)), "")
MANY = RecordLimits(hits_per_line=0, calls_per_function=0)

pytestmark = pytest.mark.skipif(not pythons.monitoring(), reason="no Python with sys.monitoring")


def run(sources: list[str], version: str, recorder: str, limits: RecordLimits) -> Ran:
    main = f"import importlib\nfor n in range({len(sources)}):\n    importlib.import_module(f'p{{n}}')\n"
    files = {"main.py": main, **{f"p{n}.py": source for n, source in enumerate(sources)}}
    with tempfile.TemporaryDirectory() as folder:
        ran = run_probe(Path(folder), files, version=version, recorder=recorder, record_limits=limits)
    assert ran.end["status"] == "completed", ran.err
    assert not ran.of("limit"), ran.of("limit")
    return ran


def plain(value: Any) -> Any:
    """A record without what differs from run to run: times, ids of objects and of codes."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key != "id"}
    return [plain(each) for each in value] if isinstance(value, list) else value


def events(ran: Ran) -> list[Any]:
    """All events with their gaps, code by name, without times."""
    names = {record[1]: record[3:] for record in ran.of("code")}
    times = {"call": 5, "line": 4, "return": 3, "yield": 3, "resume": 3, "raise": 3, "unwind": 3}
    found = []
    for record in map(plain, ran.of(*times, "cap")):
        if record[0] in times:
            del record[times[record[0]]]
        at = {"call": 3, "cap": 1}.get(record[0])
        if at:
            record[at] = names[record[at]]
        found.append(record)
    return found


several = st.lists(programs(), min_size=12, max_size=12)
quick = settings(
    max_examples=4, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


@quick
@given(several)
def test_one_interpreter_both_recorders(sources: list[str]) -> None:
    for limits in (RecordLimits(), MANY):
        by_monitoring = events(run(sources, NEW, "monitoring", limits))
        by_settrace = events(run(sources, NEW, "settrace", limits))
        assert by_monitoring == by_settrace


@pytest.mark.skipif(not OLD, reason="no Python without sys.monitoring")
@quick
@given(several)
def test_old_and_new_interpreter(sources: list[str]) -> None:
    old, new = run(sources, OLD, "auto", MANY), run(sources, NEW, "auto", MANY)
    for number, source in enumerate(sources):
        name = f"p{number}.py"
        assert old.steps(name) == new.steps(name), source


ENDS_OF_LOOPS = """
    class Three:
        at = 0
        def __iter__(self):
            return self
        def __next__(self):
            self.at += 1
            if self.at > 3:
                raise StopIteration(self.at)
            return self.at
    def produce(n):
        for each in range(n):
            yield each
        return n
    def delegate(n):
        got = yield from produce(n)
        return got
    def work():
        total = 0
        for n in produce(2):
            total += n
        for n in delegate(2):
            total += n
        for n in Three():
            total += n
        return total
    work()
    next(iter(Three()))
    next(produce(0), None)
"""


@pytest.mark.parametrize("version", [".".join(map(str, v)) for v in sorted(pythons.found()) if v >= (3, 12)])
def test_the_end_of_a_loop_is_no_exception(tmp_path: Path, version: str) -> None:
    """Although `sys.monitoring` tells of one where a generator returned a value."""
    by_monitoring, by_settrace = (
        run_probe(tmp_path, ENDS_OF_LOOPS, version=version, recorder=recorder)
        for recorder in ("monitoring", "settrace")
    )
    assert events(by_monitoring) == events(by_settrace)
    assert not [step for step in by_monitoring.steps() if step.startswith("work") and "!" in step]
    assert "Three.__next__:9 !StopIteration" in by_monitoring.steps()
