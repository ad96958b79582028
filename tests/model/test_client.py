"""The client against a scripted server: streams, what servers lack, wrong addresses, rubbish."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrail_model import hostfile, sse, transport
from backtrail_model.client import (
    Completion,
    HostConfused,
    HostNotAllowed,
    HostRefused,
    HostUnreachable,
    ModelClient,
    NoHost,
    NotSupported,
    connect,
)
from tests.model.scripted import Answer, Seen, as_json, chat_event, serving, text_event
from tests.model.scripted import sse as events

HELLO = [{"role": "user", "content": "hello"}]


def client(url: str, **more: object) -> ModelClient:
    return ModelClient(url, "secret", model="qwen2.5-coder-1.5b", **more)


async def chatted(url: str) -> str:
    async with client(url) as model:
        return "".join([delta.text async for delta in model.chat(HELLO, max_tokens=5)])


TEXT = 'data: {"a": 1}\n\n: comment\r\ndata: zwei ✓\r\ndata: 三\r\n\r\nevent: x\rdata: last\r\r'
EVENTS = ['{"a": 1}', "zwei ✓\n三", "last"]


@given(st.lists(st.integers(0, len(TEXT.encode())), max_size=12))
def test_events_are_the_same_however_the_bytes_are_split(cuts: list[int]) -> None:
    raw, decoder = TEXT.encode(), sse.Decoder()
    edges = [0, *sorted(cuts), len(raw)]
    found = [e for a, b in itertools.pairwise(edges) for e in decoder.feed(raw[a:b])]
    assert found + decoder.finish() == EVENTS


def test_an_event_without_its_blank_line_counts_at_the_end() -> None:
    decoder = sse.Decoder()
    assert decoder.feed(b"data: cut o") == []
    assert decoder.finish() == ["cut o"]


def test_an_endless_event_is_refused() -> None:
    decoder = sse.Decoder()
    with pytest.raises(sse.TooLong):
        for _ in range(100):
            decoder.feed(b"data: " + b"x" * 100_000)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_a_chat_streams_whatever_the_chunks(size: int) -> None:
    raw = events(chat_event(0, "grüß "), chat_event(0, "dich ✓"), chat_event(0, "", "stop"))
    async with serving(Answer([raw[at : at + size] for at in range(0, len(raw), size)])) as server:
        assert await chatted(server.url) == "grüß dich ✓"
    request = server.seen[0]
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer secret"
    assert request.body["messages"] == HELLO
    assert request.body["stream"] is True
    assert request.body["model"] == "qwen2.5-coder-1.5b"


async def test_samples_come_as_they_finish() -> None:
    mixed = events(
        text_event(0, "a"), text_event(1, "b"), text_event(1, "c", "stop"), text_event(0, "d", "length")
    )
    async with serving(Answer([mixed])) as server, client(server.url) as model:
        got = [one async for one in model.samples("x", max_tokens=4, n=2, stop=["\n"], seed=3)]
    assert got == [Completion(1, "bc", "stop"), Completion(0, "ad", "length")]
    assert server.seen[0].body == {
        "model": "qwen2.5-coder-1.5b",
        "prompt": "x",
        "max_tokens": 4,
        "temperature": 0.0,
        "n": 2,
        "stop": ["\n"],
        "seed": 3,
        "stream": True,
        "priority": "person",
    }


async def test_a_server_that_does_not_stream_is_understood() -> None:
    whole = {"choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}]}
    async with serving(as_json(whole)) as server:
        assert await chatted(server.url) == "hello"


async def test_leaving_the_stream_closes_the_connection() -> None:
    cut = Answer([events(text_event(0, "a", "stop"), done=False)], hang=True)
    async with serving(cut) as server, client(server.url) as model:
        samples = model.samples("x", max_tokens=4, n=2)
        assert (await anext(samples)).text == "a"
        await samples.aclose()
        for _ in range(100):
            if server.left:
                break
            await asyncio.sleep(0.01)
        assert server.left == 1


async def test_cancelling_the_task_closes_the_connection() -> None:
    async with serving(Answer([], hang=True)) as server, client(server.url) as model:
        task = asyncio.create_task(model.complete("x", max_tokens=4))
        while not server.seen:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(100):
            if server.left:
                break
            await asyncio.sleep(0.01)
        assert server.left == 1


async def test_a_server_that_ignores_n_is_asked_again() -> None:
    def one(request: Seen) -> Answer:
        return Answer([events(text_event(0, f"seed {request.body['seed']}", "stop"))])

    async with serving(one) as server, client(server.url) as model:
        got = await model.complete("x", max_tokens=4, n=3, seed=10)
        assert [c.text for c in got] == ["seed 10", "seed 11", "seed 12"]
        assert [c.index for c in got] == [0, 1, 2]
        assert model.degraded == ("the server gives one answer a request, so several are made",)


def refusing(*fields: str) -> Callable[[Seen], Answer]:
    def answer(request: Seen) -> Answer:
        unknown = next((name for name in fields if name in request.body), None)
        if unknown:
            return as_json({"error": {"message": f"unknown field '{unknown}'"}}, 400)
        return Answer([events(text_event(0, request.body["prompt"], "stop"))])

    return answer


async def test_fields_that_a_server_refuses_are_left_out() -> None:
    async with serving(refusing("priority", "seed", "n")) as server, client(server.url) as model:
        got = await model.complete("x", max_tokens=4, n=2, seed=1)
        assert len(got) == 2
        assert len(model.degraded) == 3


async def test_the_middle_is_asked_for_with_the_models_own_tokens_where_there_is_no_suffix() -> None:
    async with serving(refusing("suffix")) as server, client(server.url) as model:
        (got,) = await model.complete("before", suffix="after", max_tokens=4)
        assert got.text == "<|fim_prefix|>before<|fim_suffix|>after<|fim_middle|>"


async def test_no_middle_for_a_model_whose_tokens_are_not_known() -> None:
    answer = refusing("suffix")
    async with serving(answer) as server, ModelClient(server.url, model="llama-3-8b") as model:
        with pytest.raises(NotSupported, match="llama-3-8b"):
            await model.complete("before", suffix="after", max_tokens=4)


async def test_a_server_without_completions() -> None:
    async with serving(as_json({"detail": "Not Found"}, 404)) as server, client(server.url) as model:
        with pytest.raises(NotSupported, match="no /completions"):
            await model.complete("x", max_tokens=4)


async def test_the_first_model_listed_is_used_when_none_is_named() -> None:
    def answer(request: Seen) -> Answer:
        if request.path == "/v1/models":
            return as_json({"data": [{"id": "one"}, {"id": "two"}]})
        return Answer([events(chat_event(0, request.body["model"], "stop"))])

    async with serving(answer) as server, ModelClient(server.url) as model:
        assert [d.text async for d in model.chat(HELLO, max_tokens=1)] == ["one"]


async def test_nobody_there() -> None:
    with pytest.raises(HostUnreachable) as caught:
        await chatted("http://127.0.0.1:9")
    assert caught.value.advice == "start it with: backtrail host"


@pytest.mark.parametrize(
    ("status", "headers", "advice", "retry"),
    [
        (401, {}, "token", None),
        (400, {}, "", None),
        (429, {"retry-after": "7"}, "busy", 7.0),
        (503, {}, "loading", None),
    ],
)
async def test_refusals_say_what_to_do(
    status: int, headers: dict[str, str], advice: str, retry: float | None
) -> None:
    async with serving(as_json({"error": {"message": "no, because"}}, status, **headers)) as server:
        with pytest.raises(HostRefused, match="no, because") as caught:
            await chatted(server.url)
    assert caught.value.status == status
    assert advice in caught.value.advice
    assert caught.value.retry_after_s == retry


@pytest.mark.parametrize(
    "answer",
    [
        Answer([b"data: not json\n\n"]),
        Answer([b"data: [1, 2]\n\n"]),
        Answer([b'data: {"choices": 5}\n\n']),
        Answer([b'data: {"choices": [5]}\n\n']),
        Answer([b'data: {"choices": [{"delta": {"content": 7}}]}\n\n']),
        Answer([b'data: {"hello": "world"}\n\n']),
        Answer([b"<html>It works!</html>"], headers={"content-type": "text/html"}),
        Answer([b""], 302, {"location": "http://elsewhere.example/v1"}),
        Answer([b"\xff\xfe\x00"], headers={"content-type": "application/json"}),
    ],
)
async def test_rubbish_is_called_rubbish(answer: Answer) -> None:
    async with serving(answer) as server:
        with pytest.raises(HostConfused) as caught:
            await chatted(server.url)
    assert "base_url" in caught.value.advice
    assert len(server.seen) == 1


async def test_an_error_in_the_middle_of_a_stream() -> None:
    raw = events(chat_event(0, "so far"), {"error": {"message": "out of memory"}})
    async with serving(Answer([raw])) as server:
        with pytest.raises(HostRefused, match="out of memory"):
            await chatted(server.url)


async def test_a_broken_connection() -> None:
    headers = {"content-type": "text/event-stream", "content-length": "1000"}
    async with serving(Answer([events(chat_event(0, "so"), done=False)], headers=headers)) as server:
        with pytest.raises(HostUnreachable):
            await chatted(server.url)


@pytest.mark.parametrize(
    ("url", "allowed", "fine"),
    [
        ("http://127.0.0.1:1", (), True),
        ("http://127.8.9.1:1", (), True),
        ("http://localhost:1/v1", (), True),
        ("http://[::1]:1/v1", (), True),
        ("http://10.0.0.7:1", (), False),
        ("https://models.example", (), False),
        ("https://models.example/v1", ("models.example",), True),
        ("https://MODELS.example/v1", ("Models.Example",), True),
        ("https://models.example:8443/v1", ("models.example:8443",), True),
        ("https://models.example:8444/v1", ("models.example:8443",), False),
        ("https://127.0.0.1@models.example/v1", (), False),
        ("https://localhost.models.example/v1", (), False),
        ("https://evil.example/?models.example", ("models.example",), False),
        ("file:///etc/passwd", (), False),
        ("ftp://127.0.0.1/", (), False),
        ("", (), False),
    ],
)
def test_where_prompts_may_go(url: str, allowed: tuple[str, ...], fine: bool) -> None:
    if fine:
        ModelClient(url, allowed_hosts=allowed)
    else:
        with pytest.raises(HostNotAllowed):
            ModelClient(url, allowed_hosts=allowed)


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://10.0.0.1:3128")
    assert ModelClient("http://127.0.0.1:1")._transport._client()._mounts == {}


def test_no_host_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostfile, "read", lambda: None)
    found = connect(None, None)
    assert isinstance(found, NoHost)
    assert "backtrail host" in found.advice


def test_a_setting_that_is_not_allowed() -> None:
    found = connect("https://models.example", "t")
    assert isinstance(found, NoHost)
    assert "model.allowHosts" in found.advice


async def test_the_running_host_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(Answer([events(chat_event(0, "hi", "stop"))])) as server:
        monkeypatch.setattr(hostfile, "read", lambda: {"url": server.url, "token": "its own"})
        found = connect(None, None, model="m")
        assert isinstance(found, ModelClient)
        assert [d.text async for d in found.chat(HELLO, max_tokens=1)] == ["hi"]
        await found.aclose()
    assert server.seen[0].headers["authorization"] == "Bearer its own"


async def test_health() -> None:
    async with serving(as_json({"status": "ok", "model": "m"})) as server, client(server.url) as model:
        health = await model.health()
    assert (health.ok, health.model) == (True, "m")
    assert server.seen[0].path == "/health"


async def test_health_of_a_server_that_has_none() -> None:
    def answer(request: Seen) -> Answer:
        found = request.path == "/v1/models"
        return as_json({"data": [{"id": "m"}]}) if found else as_json({"detail": "?"}, 404)

    async with serving(answer) as server, client(server.url) as model:
        assert (await model.health()).ok


def test_importing_the_client_does_not_import_httpx() -> None:
    modules = "backtrail_model.client, backtrail_model.repair, backtrail_model.explain"
    code = f"import sys, {modules}; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


async def test_a_host_that_never_says_how_it_is_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "GET_S", 0.2)
    async with serving(Answer([b""], hang=True)) as server, ModelClient(server.url) as client:
        with pytest.raises(HostUnreachable, match="no model host answers"):
            await client.health()
