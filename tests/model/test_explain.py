"""Explanations: what is dropped, and why."""

from __future__ import annotations

import pytest
from attrs import evolve

from backtrail_model.client import ModelClient
from backtrail_model.evidence import gather
from backtrail_model.explain import check, explain, messages
from tests.model.handmade import total_recording
from tests.scripted_host import ScriptedHost

RUN = total_recording()
EVIDENCE = gather(RUN.trace(), RUN.failures[0], RUN.source_of)


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("Line 6 makes result -1 (L6#1).", ""),
        ("After that result is -1 (L6#1).", ""),
        ("Here `result` was `0` at first (L2#1).", ""),
        ("result = 5 (L6#1).", "result was 0 or -1"),
        ("The value of result becomes 7 there (L6#1).", "result was 0 or -1"),
        ("The price was 2 (L6#1).", "price was 1"),
        ("prices was [1, 9] (L3#1).", ""),
        ("prices was [1, 8] (L3#1).", "prices was [1, 9]"),
        ("It goes wrong at L9#4.", "there is no fact L9#4"),
        ("It goes wrong (L6#1, L6#2).", "there is no fact L6#2"),
        ("The limit is 99.", "limit was 5"),
        ("The limit is 5.", ""),
        ("The discount is 99.", ""),
        ("Line 6 subtracts where it should add.", ""),
        ("The test expected 1 but got -1.", ""),
        ("The test expected 2 but got -1.", "the test expected 1"),
        ("The test expects 1, but it got 4.", "it got -1"),
        ("because L6#1: result = -1", ""),
        ("because L6#1: result = 6", "result was 0 or -1"),
        ("because L61#1: result = -1", "there is no fact L61#1"),
        ("result is 0.5 off (L6#1).", "result was 0 or -1"),
        ("result is -1 (L6#1), which e.g. a sum would not be.", ""),
    ],
)
def test_claims_are_checked_against_the_record(sentence: str, reason: str) -> None:
    checked = check(sentence, EVIDENCE)
    if reason:
        assert checked.text == ""
        assert checked.dropped == (f"{reason}: {sentence}",)
    else:
        assert checked.text == sentence
        assert checked.dropped == ()


def test_a_quoted_statement_gets_the_id_of_its_fact() -> None:
    said = "The line `result -= price` subtracts."
    assert check(said, EVIDENCE).text == "The line `result -= price` subtracts (L6#1)."
    assert check("The variable `result` is wrong.", EVIDENCE).text == "The variable `result` is wrong."


def test_only_the_wrong_sentence_goes() -> None:
    said = "The sum is wrong. Here result is 5 (L6#1). Line 6 subtracts the price (L6#1)."
    checked = check(said, EVIDENCE)
    assert checked.text == "The sum is wrong. Line 6 subtracts the price (L6#1)."
    assert len(checked.dropped) == 1


async def test_nothing_is_waited_for_after_the_conclusion() -> None:
    answer = "because L6#1: result = -1\nwrong: line 6 should add.\nbecause L6#1: and so on, and so on"
    with ScriptedHost(reply=lambda _: answer) as host:
        async with ModelClient(host.url, host.token) as client:
            said = "".join([piece async for piece in explain(client, EVIDENCE)])
    assert "wrong: line 6" in said
    assert "and so on, and so on" not in said


def test_every_line_is_judged_by_itself_and_counted() -> None:
    said = (
        "The test expected 1 but got -1.\nbecause L6#1: result = -1\nbecause L2#1: result = 3\nwrong: line 6."
    )
    checked = check(said, EVIDENCE)
    kept = ["The test expected 1 but got -1.", "because L6#1: result = -1", "wrong: line 6."]
    assert checked.text.split("\n\n") == kept
    assert (len(checked.dropped), checked.cited, checked.sentences) == (1, 1, 3)


def test_a_value_is_not_what_came_when_it_raised() -> None:
    run = total_recording()
    failure = run.failures[0]
    run.failures[0] = evolve(failure, type="KeyError", message="'a'", expected=None, actual=None)
    evidence = gather(run.trace(), run.failures[0], run.source_of)
    checked = check("The test expected 0 but got 0.", evidence)
    assert checked.dropped == ("it ended with KeyError: 'a': The test expected 0 but got 0.",)


@pytest.mark.parametrize("said", ["", "   ", "no end", "\n\n\n", "L", "(((", "result is"])
def test_odd_texts_are_harmless(said: str) -> None:
    assert check(said, EVIDENCE).dropped == ()


async def test_the_model_sees_code_and_facts_and_its_answer_is_streamed() -> None:
    answer = "Line 6 subtracts (L6#1)."
    with ScriptedHost(reply=lambda _: answer) as host:
        async with ModelClient(host.url, host.token) as client:
            said = "".join([piece async for piece in explain(client, EVIDENCE)])
    assert said == answer
    sent = host.asked("/v1/chat/completions")[0]["messages"]
    assert sent == messages(EVIDENCE)
    assert "result -= price" in sent[-1]["content"]
    assert "L6#1: result -= price  with price = 1, result = 0  → result = -1" in sent[-1]["content"]
