"""`backtrail why` as a person and as a program use it: the real command, a real run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from backtrail_server.terminal.why import Target
from tests.terminal.test_trace_command import EXAMPLE, backtrail


def test_a_value_is_followed_back_through_calls_into_the_test() -> None:
    place = f"{EXAMPLE / 'readings.py'}:23:warmest"
    done = backtrail("why", place, "--python", sys.executable)
    assert done.returncode == 0, done.stdout + done.stderr
    words = " ".join(done.stdout.split())
    assert "Why warmest is 2 at readings.py:23" in words
    assert "came out of `moving_average`" in words
    assert "test_readings.py:3" in words
    assert "hour, _ = readings" not in words, "what ran later is no reason"


def test_json_is_one_versioned_document() -> None:
    done = backtrail("why", f"{EXAMPLE / 'readings.py'}:23:warmest", "--python", sys.executable, "--json")
    document = json.loads(done.stdout)
    assert (document["version"], document["expression"], document["value"]) == (1, "warmest", "2")
    assert document["links"][0]["id"] == "L23#1"
    assert [link["line"] for link in document["links"] if link["path"].endswith("test_readings.py")]


@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        ("readings.py:23:nobody", 1, "Nothing was recorded of nobody"),
        ("readings.py", 2, "FILE:LINE"),
        ("readings.py:x", 2, "FILE:LINE"),
        ("nowhere.py:3", 2, "does not exist"),
    ],
)
def test_what_cannot_be_told_says_why(place: str, code: int, said: str) -> None:
    done = backtrail("why", place, "--python", sys.executable, cwd=EXAMPLE)
    assert done.returncode == code
    assert said in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("text", "path", "line", "expression"),
    [
        ("shop.py:3", "shop.py", 3, ""),
        ("a/shop.py:3:total", "a/shop.py", 3, "total"),
        ("shop.py:3:d['a:b']", "shop.py", 3, "d['a:b']"),
        ("C:/x/shop.py:3:total", "C:/x/shop.py", 3, "total"),
    ],
)
def test_how_a_place_is_written(text: str, path: str, line: int, expression: str) -> None:
    assert Target.of(text) == Target(Path(path), line, expression)
