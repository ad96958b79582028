"""The recorder lets go: of the program once recording has ended, and of the program's classes always."""

from __future__ import annotations

from pathlib import Path

import pytest

from backtrail_probe.wire import RecordLimits
from tests.probe.harness import NEWEST_TWO_RECORDERS, run_probe

STOPPED = """
import sys

def count(to):
    total = 0
    for each in range(to):
        total += each
    return total

def tell(when):
    mine = [t for t in (3, 4) if hasattr(sys, "monitoring") and sys.monitoring.get_tool(t) == "backtrail"]
    followed = {
        "traced": sys.gettrace() is not None,
        "global": any(sys.monitoring.get_events(t) for t in mine),
        "local": any(sys.monitoring.get_local_events(t, count.__code__) for t in mine),
    }
    print(when, followed, file=sys.stderr)

def a_first():
    '''
    >>> tell("before")
    >>> count(1000)
    499500
    '''

def b_second():
    '''
    >>> count(10)
    45
    >>> tell("after")
    '''
"""

CLASSES = """
import gc, weakref

class Plain:
    def __init__(self):
        self.value = [1, 2]

def use(kind):
    thing = kind()
    several = [thing, kind]
    return thing

def make():
    class Slotted(Plain):
        __slots__ = ("more",)
    class Listed(list):
        pass
    class Failing(Exception):
        pass
    kinds = (Slotted, Listed, Failing)
    for kind in kinds:
        use(kind)
    return [weakref.ref(kind) for kind in kinds]

left = make()
gc.collect()
print([each() is None for each in left])
"""


@pytest.mark.parametrize(("version", "recorder"), NEWEST_TWO_RECORDERS)
def test_nothing_is_followed_once_a_limit_ended_the_recording(
    tmp_path: Path, version: str, recorder: str
) -> None:
    limits = RecordLimits(hits_per_line=0, events=100)
    ran = run_probe(
        tmp_path,
        {"mod.py": STOPPED},
        kind="doctest",
        version=version,
        recorder=recorder,
        record_limits=limits,
    )
    told = [line for line in ran.err.splitlines() if line.startswith(("before", "after"))]
    assert len(told) == 2 and "True" in told[0] and "True" not in told[1], ran.err
    assert [record[1] for record in ran.of("limit")] == ["events"]


@pytest.mark.parametrize(("version", "recorder"), NEWEST_TWO_RECORDERS)
def test_classes_are_not_kept_alive(tmp_path: Path, version: str, recorder: str) -> None:
    ran = run_probe(tmp_path, CLASSES, version=version, recorder=recorder)
    assert ran.out.strip() == "[True, True, True]", ran.err
    shown = {values[0] for values in ran.last_values().values()}
    assert "list" in shown and any(record[0] == "return" for record in ran.records)
