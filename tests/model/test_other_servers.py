"""Our client with other makes of server, from talks that were recorded with the real ones.

A recording insists on the very requests that were made then, so a change of what we send shows up here;
`tests/model/exchanges.py` says how to record anew.
"""

from __future__ import annotations

from backtrail_model.client import ModelClient
from tests.model.exchanges import Said, player, talk
from tests.model.scripted import serving


async def played(name: str) -> Said:
    async with serving(player(name)) as server, ModelClient(server.url, model="smollm2-135m") as client:
        return await talk(client, server.url, "")


async def test_llama_cpp_gives_one_answer_a_request() -> None:
    said = await played("llama_cpp")
    assert said.models == ("smollm2-135m",)
    assert said.chat == "Hello! I'm here to"
    assert len(said.samples) == 2
    assert said.degraded == ("the server gives one answer a request, so several are made",)


async def test_transformers_serve_takes_no_field_it_does_not_know() -> None:
    said = await played("transformers_serve")
    assert said.chat == "I'm glad of you!"
    assert len(said.samples) == 2
    assert said.degraded == (
        "the server knows no priorities",
        "the server gives one answer a request, so several are made",
    )
    assert "the host refused (400)" in said.unknown
    assert "no-such-model" in said.unknown


async def test_transformers_serve_lists_no_model_that_it_was_pinned_to() -> None:
    said = await played("transformers_serve")
    assert said.models == ("the host lists no model",)


async def test_vllm_names_the_way_to_the_field_that_it_does_not_know() -> None:
    said = await played("vllm")
    assert said.models == ("smollm2-135m",)
    assert said.chat == "I'm glad of you!"
    assert len(said.samples) == 2
    assert said.degraded == (
        "the server knows no priorities",
        "the server does not fill in the middle, so the model's own tokens are used",
    )
    assert "we do not know how to ask smollm2-135m" in said.middle
    assert "The model `no-such-model` does not exist" in said.unknown
