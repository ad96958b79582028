"""A study from data to records, with a scripted host and real runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from backtrail_model.study.records import SAMPLES, Records, RecordsError
from tests.scripted_host import ScriptedHost, knows
from tests.study import data
from tests.study.studies import CONTROLS, MANIFEST, cell, crossed, refusing, several, study

Messages = Sequence[Mapping[str, str]]

RIGHT = {row["entry_point"]: data.program(row) for row in data.ROWS}
WRONG_BUT_PASSES = data.program(data.ROWS[0]).replace("numbers[0]", "0")
"""Passes the visible test of the first item, and fails the hidden one: the numbers there are negative."""

WRONG = data.program(data.ROWS[0]).replace("number > best", "number == best")


def solver(messages: Messages) -> str:
    """Knows every item."""
    asked = messages[1]["content"]
    return data.answer(next(program for name, program in RIGHT.items() if f"def {name}(" in asked))


async def test_hidden_tests_reach_no_prompt_and_no_search(tmp_path: Path) -> None:
    """Every request of every way of scaling is looked through for what stands in the hidden tests."""

    def halting(messages: Messages) -> str:
        return "I do not know." if len(messages) < 4 else solver(messages)

    ways = ("greedy", "best-of-2-verified", "refine-1", "search")
    with ScriptedHost(reply=halting, fill=knows(data.LARGEST)) as host:
        planned = crossed(("none", "fact", "slice"), *ways, controls=CONTROLS)
        records = await study(tmp_path, host, planned, [data.ROWS[0]], budget_s=3)
        sent = json.dumps([request.body for request in host.requests])
    assert len(host.requests) > 6
    assert "largest([1, 5, 2])" in sent  # the visible test is there
    assert data.CANARY not in sent
    assert "-3, -1, -2" not in sent  # nor the hidden test's own values
    kept = json.dumps([one.samples for one in records.cells.values()], default=str)
    assert data.CANARY not in kept


async def test_hidden_tests_judge_what_the_visible_ones_let_pass(tmp_path: Path) -> None:
    with ScriptedHost(reply=lambda messages: data.answer(WRONG_BUT_PASSES)) as host:
        planned = crossed(("none",), "greedy", "best-of-1-verified")
        records = await study(tmp_path, host, planned, [data.ROWS[0]])
    greedy, verified = cell(records, "Made/1", "greedy"), cell(records, "Made/1", "best-of-1-verified")
    assert not greedy.right and greedy.offered and not greedy.verified
    assert verified.verified and not verified.right


async def test_every_way_of_scaling_does_what_its_name_says(tmp_path: Path) -> None:
    """The model is wrong at first, and right when it is shown what its program did."""
    seen: list[Messages] = []

    def learner(messages: Messages) -> str:
        seen.append(messages)
        return solver(messages) if len(messages) > 2 else data.answer(WRONG)

    with ScriptedHost(reply=learner, fill=knows(data.LARGEST)) as host:
        planned = crossed(("none",), "greedy", "refine-2", "search")
        records = await study(tmp_path, host, planned, [data.ROWS[0]])
    assert not cell(records, "Made/1", "greedy").right
    refined = cell(records, "Made/1", "refine-2")
    assert refined.right and refined.verified and len(refined.samples) == 2
    searched = cell(records, "Made/1", "search")
    assert searched.verified and searched.first_s is not None and searched.first_s < 4
    assert any("not right yet" in messages[-1]["content"] for messages in seen)


async def test_the_majority_is_taken_without_running_and_the_first_that_passes_with(tmp_path: Path) -> None:
    """One answer of three is right; the two others are the same wrong program."""
    answers = [data.answer(WRONG), data.answer(WRONG), data.answer(data.program(data.ROWS[0]))]
    with ScriptedHost(reply=lambda messages: "") as host, several(host, answers):
        planned = crossed(("none",), "best-of-3", "best-of-3-verified")
        records = await study(tmp_path, host, planned, [data.ROWS[0]])
        asked = host.asked("/v1/chat/completions")
    assert not cell(records, "Made/1", "best-of-3").right
    assert cell(records, "Made/1", "best-of-3").oracle
    assert cell(records, "Made/1", "best-of-3-verified").right
    assert [body["n"] for body in asked] == [3]  # both chose from the same answers


async def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    planned = crossed(("none",), "greedy")
    with ScriptedHost(reply=solver) as host:
        await study(tmp_path, host, planned)
        path = tmp_path / "out" / SAMPLES
        lines = path.read_bytes().splitlines(keepends=True)
        # As after a crash in the middle of writing the last item's line.
        path.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
        before = len(host.requests)
        records = await study(tmp_path, host, planned, resume=True)
        assert len(host.requests) - before == 1
        again = len(host.requests)
        await study(tmp_path, host, planned, resume=True)
        assert len(host.requests) == again
    assert len(records.cells) == 3
    assert [json.loads(line)["kind"] for line in path.read_text().splitlines()].count("cell") == 3


async def test_records_of_another_study_are_not_mixed_in(tmp_path: Path) -> None:
    Records.open(tmp_path, MANIFEST, resume=False).__exit__()
    with pytest.raises(RecordsError, match="--resume"):
        Records.open(tmp_path, MANIFEST, resume=False)
    with pytest.raises(RecordsError, match="another seed"):
        Records.open(tmp_path, {**MANIFEST, "seed": 1}, resume=True)


async def test_a_study_can_be_repeated(tmp_path: Path) -> None:
    """The same answers and verdicts for the same seed, all but the seconds; and the seeds are sent."""
    outcomes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with ScriptedHost(reply=solver) as host:
            planned = crossed(("none", "slice"), "greedy", "best-of-2", controls=CONTROLS)
            records = await study(tmp_path / name, host, planned, data.ROWS[:2])
            bodies = [request.body for request in host.requests]
        cells = [(one.key, one.right, [s["program"] for s in one.samples]) for one in records.cells.values()]
        outcomes.append((cells, bodies))
    assert outcomes[0] == outcomes[1]
    assert all(isinstance(body["seed"], int) for body in outcomes[0][1])


async def test_the_controls_are_another_seed_and_the_trace_of_another_item(tmp_path: Path) -> None:
    with ScriptedHost(reply=solver) as host:
        planned = crossed(("none", "slice"), "greedy", controls=CONTROLS)
        await study(tmp_path, host, planned, data.ROWS[:2])
        bodies = host.asked("/v1/chat/completions")
    texts = [body["messages"][1]["content"] for body in bodies]
    first = [body for body, text in zip(bodies, texts, strict=True) if "def largest(" in text]
    plain, traced, rerun, shuffled = (body["messages"][1]["content"] for body in first)
    seeds = [body["seed"] for body in first]
    assert plain == rerun and seeds[0] != seeds[2] and seeds[0] == seeds[1] == seeds[3]
    assert "number < best" in traced.split("What happened")[1]
    facts = shuffled.split("What happened")[1]
    assert "number < best" not in facts and "letter" in facts  # the run of the other item
    assert "largest([1, 5, 2])" in facts  # but this item's own failing call


async def test_items_that_prove_nothing_are_reported_and_left_out(tmp_path: Path) -> None:
    good = data.ROWS[0]
    rows = [
        {**good, "task_id": "passes", "example_test": "def check(largest):\n    assert largest([0]) == 0\n"},
        {**good, "task_id": "no test", "example_test": ""},
        {**good, "task_id": "no wrong", "test": "assert True"},
        {**good, "task_id": "no right", "canonical_solution": "    return 7\n"},
        {**good, "task_id": "chance", "example_test": f"def check(largest):\n    {COIN}\n"},
        good,
    ]
    with ScriptedHost(reply=lambda _: data.answer(data.program(good))) as host:
        records = await study(tmp_path, host, crossed(("none",), "greedy"), rows)
    assert [one.item for one in records.cells.values()] == ["Made/1"]
    assert records.unusable["passes"] == "its visible tests pass, so there is nothing to repair"
    assert records.unusable["no test"] == "it has no visible test"
    assert records.unusable["no wrong"] == "the program to repair passes its hidden tests"
    assert records.unusable["no right"] == "the reference fails its own hidden tests here"
    assert records.unusable["chance"] == "under the tracer it does not fail as it does without"


COIN = "import os; assert largest([1, 5]) == os.urandom(8)"
"""Fails in other words each time."""


async def test_a_prompt_that_the_model_refuses_is_a_failure_of_that_item_only(tmp_path: Path) -> None:
    with ScriptedHost(reply=solver) as host, refusing(host, "def largest("):
        records = await study(tmp_path, host, crossed(("none",), "greedy"), data.ROWS[:2])
    refused = cell(records, "Made/1", "greedy")
    assert not refused.right and "too long" in refused.notes[0]
    assert cell(records, "Made/2", "greedy").right


async def test_a_program_that_does_not_parse_is_written_anew_or_mended(tmp_path: Path) -> None:
    """No edit can be laid over it: an answer stands for itself, and the search mends it."""
    broken = dict(data.MBPP[0], buggy="def area(width, height):\n    return (width * height\n")
    right = data.answer(broken["canonical_solution"])
    with ScriptedHost(reply=lambda _: right) as host:
        records = await study(
            tmp_path, host, crossed(("fact",), "greedy", "best-of-2-verified", "search"), [broken]
        )
        assert "was never closed" in host.asked("/v1/chat/completions")[0]["messages"][1]["content"]
    assert cell(records, "Made/9@somebody", "greedy", "fact").right
    assert cell(records, "Made/9@somebody", "best-of-2-verified", "fact").verified
    assert cell(records, "Made/9@somebody", "search", "fact").right


async def test_without_a_model_the_search_still_has_its_mutations(tmp_path: Path) -> None:
    with ScriptedHost() as host:
        planned = crossed(("none",), "greedy", "search", model="none")
        records = await study(tmp_path, host, planned, [data.ROWS[0]])
        assert host.requests == []
    assert [one.scaling for one in records.cells.values()] == ["search"]
    assert cell(records, "Made/1", "search").verified


async def test_outputs_are_predicted_without_the_answer_in_sight(tmp_path: Path) -> None:
    """The facts are of another call; the literal is compared as a value."""
    with ScriptedHost(reply=lambda _: "```python\n'aabb' 'cc'\n```") as host:
        planned = crossed(("none", "fact", "slice"), "greedy", "best-of-2", kind="output", controls=CONTROLS)
        records = await study(tmp_path, host, planned, [data.CRUX[0]])
        sent = [body["messages"][1]["content"] for body in host.asked("/v1/chat/completions")]
    assert all(one.right for one in records.cells.values()) and len(records.cells) >= 7
    assert all("What does f('abc', 2) return?" in text and "aabbcc" not in text for text in sent)
    none, fact, traced = sent[0], sent[1], sent[2]
    assert "another call" not in none
    assert "f('cba', 2) returned 'ccbbaa'" in fact
    assert "letter = 'c'" in traced and "letter" not in fact.split("another call")[1]
