"""A model with a small context: facts are cut, the nearest stay; the code never is; else it is told."""

from __future__ import annotations

import pytest

from backtrail_model.client import ModelClient
from backtrail_model.errors import PromptTooLong
from backtrail_model.evidence import gather, shorter
from backtrail_model.explain import explain
from backtrail_model.repair.proposers import Instruct, Schedule, askers
from tests.model.handmade import total_recording
from tests.model.scripted import Answer, Seen, as_json, chat_event, serving, sse
from tests.model.test_proposers import context

RUN = total_recording()
EVIDENCE = gather(RUN.trace(), RUN.failures[0], RUN.source_of)
NEAREST = "L6#1"

REFUSALS = {
    "ours": {"error": {"message": "the context holds 512", "code": "context_length_exceeded"}},
    "llama.cpp": {"error": {"code": 400, "message": "too big", "type": "exceed_context_size_error"}},
    "vLLM": {
        "error": {
            "message": "This model's maximum context length is 512 tokens. However, your prompt contains …",
            "type": "BadRequestError",
            "param": "input_tokens",
            "code": 400,
        }
    },
}


def room_for(characters: int, refusal: str = "ours"):
    """A server that takes prompts up to a length."""

    def answer(seen: Seen) -> Answer:
        if seen.method == "GET":
            return as_json({"data": [{"id": "qwen2.5-coder-1.5b"}]})
        body = seen.body
        text = body.get("prompt", "") + "".join(message["content"] for message in body.get("messages", ()))
        if len(text) > characters:
            return as_json(REFUSALS[refusal], 400)
        return Answer([sse(chat_event(0, f"It subtracts ({NEAREST}).", "stop"))])

    return answer


def prompts(server) -> list[str]:
    return [
        seen.body["messages"][-1]["content"] for seen in server.seen if seen.body and "messages" in seen.body
    ]


def test_the_nearest_facts_stay_and_the_others_are_told_of() -> None:
    whole, *fewer = shorter.steps(EVIDENCE)
    assert whole is EVIDENCE
    assert [len(one.facts) for one in fewer][-1] == 0
    for one in fewer:
        assert one.code == EVIDENCE.code
        assert {fact.id for fact in (*one.facts, *one.omitted)} == {
            fact.id for fact in (*EVIDENCE.facts, *EVIDENCE.omitted)
        }
    some = shorter.within(EVIDENCE, 40)
    assert 0 < len(some.facts) < len(EVIDENCE.facts)
    assert some.fact(NEAREST), "it is what the failure came from"
    assert "more recorded hits are not shown" in some.to_text()


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_an_explanation_is_asked_for_again_with_fewer_facts(refusal: str) -> None:
    from backtrail_model import explain as module

    lengths = [
        sum(len(message["content"]) for message in module.messages(one)) for one in shorter.steps(EVIDENCE)
    ]
    used = []
    async with serving(room_for(lengths[-1], refusal)) as server, ModelClient(server.url) as client:
        said = "".join([piece async for piece in explain(client, EVIDENCE, on_evidence=used.append)])
    assert said == f"It subtracts ({NEAREST})."
    asked = prompts(server)
    assert len(asked) == len(lengths) > 1
    assert all(EVIDENCE.code in one for one in asked), "the code is never cut"
    assert used[-1].facts == ()


async def test_code_that_does_not_fit_is_told_with_what_to_do() -> None:
    async with serving(room_for(100)) as server, ModelClient(server.url) as client:
        with pytest.raises(PromptTooLong, match="context holds 512") as raised:
            [piece async for piece in explain(client, EVIDENCE)]
    assert "longer context" in raised.value.advice


async def test_an_instruction_is_given_again_with_fewer_facts() -> None:
    given = context()
    async with serving(room_for(100_000)) as server, ModelClient(server.url) as client:
        [one async for one in Instruct(client).propose(given)]
        (whole,) = [seen for seen in server.seen if seen.body]
    length = sum(len(message["content"]) for message in whole.body["messages"])
    async with serving(room_for(length - 1)) as server, ModelClient(server.url) as client:
        [one async for one in Instruct(client).propose(given)]
        first, second = prompts(server)[0], prompts(server)[-1]
    assert len(second) < len(first) == len(whole.body["messages"][-1]["content"])
    assert given.evidence.code in second
    assert given.attempts.skipped == []


async def test_a_search_goes_on_with_what_does_fit_and_tells_of_the_rest() -> None:
    given = context()
    async with serving(room_for(400)) as server, ModelClient(server.url) as client:
        [one async for one in Schedule(askers(client)).propose(given)]
    holes = [seen for seen in server.seen if seen.path == "/v1/completions"]
    assert holes, "holes have short prompts"
    assert any("longer context" in one for one in given.attempts.skipped)
