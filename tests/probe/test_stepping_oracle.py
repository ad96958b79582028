"""Stepping through a program with debugpy, and recording it, give the same steps (see `oracle.py`)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backtrail_probe.wire import RecordLimits
from tests import pythons
from tests.probe.constructs import CONSTRUCTS
from tests.probe.harness import run_probe
from tests.probe.oracle import Source, differences, of_records, of_stops
from tests.probe.programs import programs
from tests.probe.samples import SAMPLES
from tests.probe.stepping import stops

EVERYTHING = RecordLimits(
    hits_per_line=0, calls_per_function=0, value_chars=2000, value_items=100, value_depth=9
)
MAIN = """\
import importlib
for name in {}:
    try:
        importlib.import_module(name)
    except Exception:
        pass
"""


def versions() -> list[tuple[str, list[str]]]:
    """An old and a new Python, each with the recorders that it has."""
    both = [(pythons.settrace(), ["settrace"]), (pythons.newest(), ["monitoring", "settrace"])]
    names = {path: ".".join(map(str, version)) for version, path in pythons.found().items()}
    return [(names[path], recorders) for path, recorders in both if path is not None and path in names]


VERSIONS = versions()
each_python = pytest.mark.parametrize(("version", "recorders"), VERSIONS, ids=[name for name, _ in VERSIONS])


def parted(sources: dict[str, str], version: str, recorders: list[str]) -> dict[str, list[str]]:
    """Where a recorder and the debugger part: recorder and program -> the place, in words."""
    files = {"main.py": MAIN.format([name[:-3] for name in sources]), **sources}
    stepped = stops(files, "main.py", version)
    found = {}
    for recorder in recorders:
        with tempfile.TemporaryDirectory() as folder:
            ran = run_probe(Path(folder), files, version=version, recorder=recorder, record_limits=EVERYTHING)
        assert not ran.of("limit"), ran.of("limit")
        for name, text in sources.items():
            source = Source.read(text)
            by_hand = of_stops(stepped, name, source)
            assert len(by_hand) > 3, f"debugpy did not step through {name}"
            found[f"{recorder}: {name}"] = differences(of_records(ran.records, name, source), by_hand)
    return {where: words for where, words in found.items() if words}


def show(found: dict[str, list[str]]) -> str:
    return "\n".join("\n".join([where, *words]) for where, words in found.items())


@each_python
def test_constructs(version: str, recorders: list[str]) -> None:
    texts = {**CONSTRUCTS, **{f"small_{name}": text for name, (text, _) in SAMPLES.items()}}
    found = parted(
        {f"s_{name}.py": dedent(text).lstrip() for name, text in texts.items()}, version, recorders
    )
    assert not found, show(found)


def generated(count: int, examples: int) -> object:
    """A decorator: so many examples of so many programs each, stepped through in one session."""

    def decorate(test: object) -> object:
        several = st.lists(programs(modern=True), min_size=count, max_size=count)
        quiet = settings(
            max_examples=examples,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        return each_python(quiet(given(sources=several)(test)))  # type: ignore[arg-type]

    return decorate


@generated(count=4, examples=1)
def test_generated_programs(version: str, recorders: list[str], sources: list[str]) -> None:
    found = parted({f"p{number}.py": source for number, source in enumerate(sources)}, version, recorders)
    assert not found, show(found)


@pytest.mark.long
@generated(count=25, examples=4)
def test_many_generated_programs(version: str, recorders: list[str], sources: list[str]) -> None:
    found = parted({f"p{number}.py": source for number, source in enumerate(sources)}, version, recorders)
    assert not found, show(found)
