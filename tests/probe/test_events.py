"""What the log says of small programs: the same on every Python and with both recorders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pythons
from tests.probe.harness import ALL, Ran, run_probe
from tests.probe.samples import EXPECTED, FILES, SAMPLES

NEWEST = ".".join(map(str, max(pythons.found())))
RUNS = [*((version, "auto") for version in ALL), *([(NEWEST, "settrace")] if pythons.monitoring() else [])]


@pytest.fixture(scope="session", params=RUNS, ids=lambda run: f"{run[0]}-{run[1]}")
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """All samples in one run, for each interpreter."""
    version, recorder = request.param
    folder: Path = tmp_path_factory.mktemp("samples")
    ran = run_probe(folder, FILES, version=version, recorder=recorder)
    assert ran.end["status"] == "completed", ran.err
    return ran


@pytest.mark.parametrize("name", SAMPLES)
def test_events(ran: Ran, name: str) -> None:
    assert ran.steps(f"s_{name}.py") == EXPECTED[name]


def test_begin_says_which_recorder_and_why(ran: Ran) -> None:
    begin = ran.records[0][1]
    has = tuple(map(int, begin["python"].split(".")[:2])) >= (3, 12)
    assert begin["recorder"] in ("monitoring", "settrace")
    assert ("has sys.monitoring" in begin["reason"]) == (begin["recorder"] == "monitoring")
    assert has or "no sys.monitoring" in begin["reason"]


def test_the_variable_of_a_long_comprehension_is_not_the_functions(ran: Ran, tmp_path: Path) -> None:
    """Its lines are compiled differently by every version, but nowhere does `n` become a local of `f`."""
    comprehension = "[\n        n * 2\n        for n in (1, 2)\n    ]"
    source = f"def f():\n    n = 'mine'\n    found = {comprehension}\n    return n, found\nf()\n"
    begin = ran.records[0][1]
    version = ".".join(begin["python"].split(".")[:2])
    short = run_probe(tmp_path, source, version=version, recorder=begin["recorder"])
    values = [record[5]["n"][1] for record in short.of("line") if "n" in record[5]]
    assert values == ["'mine'"]
