"""What a person is told when an entry was run a second time."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from backtrail_server import words
from backtrail_server.terminal import show
from backtrail_tracer.trace import Cap
from tests.tracer.logs import PATH, call, code, line, trace

FLAKY = "flaky: KeyError in stats.py:4 the first time, passed when run again"


def test_a_flaky_failure_is_called_so_beside_it() -> None:
    made = evolve(trace(code(), call(), line(4)), again=FLAKY, flaky=True)
    assert words.again_words(made) == FLAKY
    assert FLAKY in [text.plain for text in show.limits(made)]


def test_two_passes_are_told_in_the_terminal_and_do_not_burden_the_failure() -> None:
    made = evolve(
        trace(code(), call(), line(4)), passes=2, again="run twice", caps=(Cap(Path(PATH), 4, 10, 10, 400),)
    )
    assert words.again_words(made) == ""
    told = [text.plain for text in show.limits(made)]
    assert told == ["run twice", "1 busy lines: their first and last hits were kept"]
