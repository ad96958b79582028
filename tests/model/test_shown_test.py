"""A long test in the prompt for a whole function: what matters of it stays, and the gap is told of."""

from __future__ import annotations

from attrs import evolve

from backtrail_model.client import ModelClient
from backtrail_model.evidence import TestCase
from backtrail_model.evidence.tokens import estimate
from backtrail_model.repair import RepairContext
from backtrail_model.repair.proposers import Rewrite
from backtrail_model.repair.shown_test import shown
from tests.model.scripted import serving
from tests.model.test_proposers import context, proposed
from tests.model.test_too_long import prompts, room_for

SETUP = [f"    value_{number} = {number} * 'a rather long line'" for number in range(40)]
FAILED = ["    assert f(", "        value_39,", "    ) == 3"]
LINES = ["def test_f():", *SETUP, *FAILED, "    assert f(0) == 1"]
LONG = TestCase("test_f", None, 1, "\n".join(LINES), "assert f(value_39) == 3")


def test_with_room_it_is_shown_as_it_is() -> None:
    assert shown(LONG, 10_000) == LONG.source


def test_its_head_what_failed_and_what_led_to_it_stay() -> None:
    seen = shown(LONG, 100).split("\n")
    assert seen[0] == "def test_f():"
    assert seen[-5:-1] == [SETUP[-1], *FAILED]
    missing = len(LINES) - len([line for line in seen if "not shown" not in line])
    assert seen[1] == f"    # ({missing - 1} lines of the test not shown)"
    assert seen[-1] == "    # (1 line of the test not shown)"
    assert estimate("\n".join(seen)) < 130


def test_what_failed_is_shown_whatever_it_takes() -> None:
    assert set(FAILED) <= set(shown(LONG, 1).split("\n"))


def test_a_test_that_is_not_understood_ends_where_it_failed() -> None:
    seen = shown(evolve(LONG, source="\n".join([*LINES, "    )))"])), 60)
    assert seen.endswith("    )))")
    assert "not shown" in seen


def long_test() -> RepairContext:
    given = context()
    return evolve(given, evidence=evolve(given.evidence, test=LONG))


async def test_where_the_prompt_is_too_long_less_of_the_test_is_shown() -> None:
    async with serving(room_for(100_000)) as server, ModelClient(server.url) as client:
        await proposed(Rewrite(client), long_test())
        (whole,) = [seen for seen in server.seen if seen.body]
    length = sum(len(message["content"]) for message in whole.body["messages"])
    given = long_test()
    async with serving(room_for(length - 1)) as server, ModelClient(server.url) as client:
        await proposed(Rewrite(client), given)
        first, second = prompts(server)[0], prompts(server)[-1]
    assert len(second) < len(first)
    for prompt in (first, second):
        assert "\n".join(FAILED) in prompt
        assert "of the test not shown)" in prompt
    assert given.attempts.skipped == []
