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
        ("The test expected 5 items but got 4.", ""),
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
        assert [claim.text for claim in checked.claims] == [sentence]
        assert checked.dropped == ()


@pytest.mark.parametrize(
    ("sentence", "standing"),
    [
        ("Line 6 makes result -1 (L6#1).", "cited"),
        ("The limit is 5.", "checked"),
        ("The test expected 1 but got -1.", "checked"),
        ("The test expected 5 items but got 4.", "guess"),
        ("The discount is 99.", "guess"),
        ("Line 6 subtracts where it should add.", "guess"),
        ("wrong: line 6 should add (L6#1).", "guess"),
    ],
)
def test_what_the_record_cannot_bear_out_is_called_a_guess(sentence: str, standing: str) -> None:
    checked = check(sentence, EVIDENCE)
    assert [claim.standing for claim in checked.claims] == [standing]
    assert ("The model's guess" in checked.text) == (standing == "guess")
    assert checked.guesses == (standing == "guess")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("wrong: line 60 should add.", "there is no line 60 in the code it saw"),
        ("wrong: line 6 should be `result += price`.", ""),
        ("wrong: line 6 `result = price` should be `result += price`.", "line 6 is `result -= price`"),
        ("wrong: line 6 should say `+=` instead of `result *= price`.", "`result *= price` stands nowhere"),
        ("wrong: the loop `for price in prices:` should begin later.", ""),
    ],
)
def test_the_line_that_says_what_is_wrong_is_held_against_the_code(said: str, reason: str) -> None:
    checked = check(said, EVIDENCE)
    if reason:
        assert checked.text == "" and checked.dropped[0].startswith(reason)
    else:
        assert checked.dropped == () and checked.text.startswith("*The model's guess of what is wrong:* ")


def test_a_line_that_did_not_run_is_not_what_is_wrong() -> None:
    run = total_recording()
    run.hits = [hit for hit in run.hits if hit.line != 5]
    evidence = gather(run.trace(), run.failures[0], run.source_of)
    assert check("wrong: line 5 should go.", evidence).dropped == ("line 5 did not run: line 5 should go.",)
    assert check("Line 5 is never reached.", evidence).dropped == ()


def test_beside_a_guess_stands_the_line_it_speaks_of() -> None:
    assert "(line 6 is `result -= price`)" in check("wrong: line 6 should add.", EVIDENCE).text


def test_a_quoted_statement_gets_the_id_of_its_fact() -> None:
    said = "The line `result -= price` subtracts."
    assert check(said, EVIDENCE).text == "The line `result -= price` subtracts (L6#1)."
    assert "L6#1" not in check("The variable `result` is wrong.", EVIDENCE).text


def test_only_the_wrong_sentence_goes() -> None:
    said = "The sum is wrong. Here result is 5 (L6#1). Line 6 subtracts the price (L6#1)."
    checked = check(said, EVIDENCE)
    assert checked.text == "*The model's guess:* The sum is wrong.\n\nLine 6 subtracts the price (L6#1)."
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
    guess = "*The model's guess of what is wrong:* line 6. (line 6 is `result -= price`)"
    kept = ["The test expected 1 but got -1.", "because L6#1: result = -1", guess]
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
