"""The host with the real 135M model, over real HTTP, as a client meets it."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import httpx
import pytest

from tests.host.conftest import Running

pytestmark = pytest.mark.model

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
COUNT = "one two three four five six seven eight one two three four five six seven eight one two three"


def ask(running: Running, path: str = TEXT, **fields: Any) -> dict[str, Any]:
    """A whole answer; greedy and short unless the test says otherwise."""
    body = {"prompt": COUNT, "max_tokens": 12, "temperature": 0, **fields}
    if path == CHAT:
        body["messages"] = [{"role": "user", "content": body.pop("prompt")}]
    answer = running.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def texts(answer: dict[str, Any]) -> list[str]:
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(answer["choices"])))
    return [
        choice["text"] if "text" in choice else choice["message"]["content"] for choice in answer["choices"]
    ]


def events(running: Running, path: str = TEXT, **fields: Any) -> list[dict[str, Any]]:
    """The events of a stream, which must end in [DONE]."""
    body = {"prompt": COUNT, "max_tokens": 12, "temperature": 0, "stream": True, **fields}
    if path == CHAT:
        body["messages"] = [{"role": "user", "content": body.pop("prompt")}]
    with running.client.stream("POST", path, json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        blocks = "".join(answer.iter_text()).split("\n\n")
    assert blocks[-2:] == ["data: [DONE]", ""]
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-2]]


def test_health_needs_no_token_and_says_why(running: Running) -> None:
    health = httpx.get(f"{running.url}/health").json()
    assert health["status"] == "ok"
    assert health["model"] == "smollm2-135m"
    assert health["context"] == 8192
    assert "for the tests" in health["reason"]


def test_models(running: Running) -> None:
    assert [model["id"] for model in running.client.get("/v1/models").json()["data"]] == ["smollm2-135m"]


def test_a_chat_answer_has_the_shape_of_openai(running: Running) -> None:
    answer = ask(running, CHAT, prompt="What is the capital of France? One word.")
    choice = answer["choices"][0]
    assert "Paris" in choice["message"]["content"]
    assert choice["message"]["role"] == "assistant"
    assert (answer["object"], choice["finish_reason"]) in {
        ("chat.completion", "stop"),
        ("chat.completion", "length"),
    }
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 0 < usage["completion_tokens"] <= 12


@pytest.mark.parametrize("path", [TEXT, CHAT])
def test_a_stream_says_what_the_whole_answer_says(running: Running, path: str) -> None:
    whole = ask(running, path)
    stream = events(running, path, stream_options={"include_usage": True})
    *pieces, usage = stream
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
    said = "".join(
        choice.get("text", choice.get("delta", {}).get("content", "")) or ""
        for event in pieces
        for choice in event["choices"]
    )
    assert said == texts(whole)[0]
    assert len(pieces) > 2
    assert pieces[-1]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert {event["id"] for event in stream} == {stream[0]["id"]}


def test_n_gives_n_samples_that_differ(running: Running) -> None:
    answer = ask(running, n=4, temperature=1.5, seed=3, prompt="My favourite animal is", max_tokens=16)
    assert len(set(texts(answer))) == 4


def test_the_same_seed_gives_the_same_samples(running: Running) -> None:
    fields = {"n": 2, "temperature": 1.2, "prompt": "My favourite animal is"}
    first, again, other = (texts(ask(running, seed=seed, **fields)) for seed in (7, 7, 8))
    assert first == again != other


@pytest.mark.parametrize("fields", [{"temperature": 0}, {"temperature": 2, "top_p": 0}])
def test_no_temperature_or_no_nucleus_is_greedy(running: Running, fields: dict[str, Any]) -> None:
    greedy = texts(ask(running, temperature=0))
    assert texts(ask(running, seed=3, **fields)) == greedy
    assert texts(ask(running, seed=3, temperature=2)) != greedy


def test_metrics_tell_what_was_chosen_and_what_it_saved(running: Running) -> None:
    saved = ("accepted_tokens_total", "drafted_passes_total", "reused_tokens_total")
    modes = ("plain", "drafts", "batch", "together")

    def decoded() -> int:
        text = running.client.get("/metrics").text
        return sum(running.counter("decoded_total", mode=mode) for mode in modes if f'"{mode}"' in text)

    before, requests = [running.counter(name) for name in saved], decoded()
    repeated = {"prompt": "red green blue " * 12, "max_tokens": 12, "temperature": 0}
    ask(running, **repeated)
    ask(running, **repeated, n=4)
    now = [running.counter(name) for name in saved]
    accepted, drafted, reused = (after - then for after, then in zip(now, before, strict=True))
    assert accepted > 0  # the copy was guessed
    assert drafted > 0
    assert reused > 30  # the prompt was read once
    assert decoded() == requests + 2


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/v1/embeddings", 404), ("GET", TEXT, 405), ("GET", "/", 404)]
)
def test_what_is_not_served_is_told_with_what_is(
    running: Running, method: str, path: str, status: int
) -> None:
    answer = running.client.request(method, path)
    assert answer.status_code == status
    message = answer.json()["error"]["message"]
    assert message.startswith(f"{method} {path} is not served")
    assert "/v1/chat/completions" in message


def test_greedy_samples_are_equal(running: Running) -> None:
    assert len(set(texts(ask(running, n=3)))) == 1


def test_a_stop_string_ends_the_text_before_it(running: Running) -> None:
    free = ask(running, max_tokens=24)
    assert " seven" in texts(free)[0]
    stopped = ask(running, max_tokens=24, stop=["never", " seven"])
    assert texts(stopped)[0] == texts(free)[0].split(" seven")[0]
    assert stopped["choices"][0]["finish_reason"] == "stop"
    assert stopped["usage"]["completion_tokens"] < free["usage"]["completion_tokens"]


def test_max_tokens_is_kept_to_the_token(running: Running) -> None:
    for limit in (1, 2, 3, 7):
        answer = ask(running, max_tokens=limit)
        assert answer["usage"]["completion_tokens"] == limit
        assert answer["choices"][0]["finish_reason"] == "length"


def test_a_prompt_seen_before_is_not_read_again(running: Running) -> None:
    prompt = "The quick brown fox jumps over the lazy dog. " * 8
    cold = ask(running, prompt=prompt)
    warm = ask(running, prompt=prompt)
    assert warm["usage"]["prompt_tokens_details"]["cached_tokens"] == warm["usage"]["prompt_tokens"] - 1
    assert texts(cold) == texts(warm)


def wait_until(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def long_request(running: Running, **fields: Any) -> dict[str, Any]:
    return {"prompt": COUNT, "max_tokens": 3000, "temperature": 1, "seed": 1, **fields}


def stays_idle(running: Running) -> bool:
    """Whether no forward pass is made any more."""
    before = running.counter("forward_passes_total")
    time.sleep(0.5)
    return running.counter("forward_passes_total") == before


@pytest.mark.parametrize("n", [1, 4])
def test_a_client_that_leaves_a_stream_stops_the_passes(running: Running, n: int) -> None:
    cancelled = running.counter("requests_total", end="cancelled")
    with running.client.stream("POST", TEXT, json=long_request(running, stream=True, n=n)) as answer:
        assert next(answer.iter_text()).startswith("data: ")
    wait_until(lambda: running.counter("requests_total", end="cancelled") == cancelled + 1)
    assert stays_idle(running)


def test_a_client_that_leaves_a_whole_answer_stops_the_passes(running: Running) -> None:
    cancelled = running.counter("requests_total", end="cancelled")
    with pytest.raises(httpx.ReadTimeout):
        running.client.post(TEXT, json=long_request(running), timeout=0.5)
    wait_until(lambda: running.counter("requests_total", end="cancelled") == cancelled + 1)
    assert stays_idle(running)


def test_after_the_cancel_at_most_one_pass_is_made(running: Running) -> None:
    from backtrail_model.host.generate import Task
    from backtrail_model.host.jobs import Priority

    engine, seen = running.host.engine, []  # type: ignore[attr-defined]
    task = Task(engine.prompts.plain(COUNT), 500, lookup=False)

    def sink(event: object) -> None:
        seen.append(event)
        if len(seen) == 3:
            job.cancelled.set()
            seen.append(engine.lane.counters.passes)

    with engine._changed:  # so that the job is known before its first event
        job = engine.submit(task, (), Priority.PERSON, sink)
    wait_until(lambda: engine.queued == 0)
    assert engine.lane.counters.passes <= seen[3] + 1


def test_a_person_overtakes_a_running_prefetch(running: Running) -> None:
    ended: list[str] = []

    def request(name: str, **fields: Any) -> None:
        ask(running, **fields)
        ended.append(name)

    prefetch = threading.Thread(
        target=request, args=["prefetch"], kwargs={"max_tokens": 150, "priority": "prefetch"}
    )
    prefetch.start()
    wait_until(lambda: running.counter("requests_queued") == 1)
    request("person", max_tokens=2)
    prefetch.join()
    assert ended == ["person", "prefetch"]


def test_a_full_queue_is_told_with_a_time(narrow: Running) -> None:
    statuses: list[tuple[int, str | None]] = []

    def request() -> None:
        try:
            answer = narrow.client.post(TEXT, json=long_request(narrow, max_tokens=40))
        except httpx.ReadTimeout:
            return
        statuses.append((answer.status_code, answer.headers.get("retry-after")))

    threads = [threading.Thread(target=request) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [after for status, after in statuses if status == 429]
    assert len(statuses) == 5
    assert 1 <= len(refused) <= 3
    assert all(after is not None and int(after) >= 1 for after in refused)


@pytest.mark.parametrize("token", ["", "Bearer wrong", "Basic token-of-the-tests", "Bearer"])
@pytest.mark.parametrize("path", ["/v1/models", "/metrics", TEXT])
def test_no_answer_without_the_token(running: Running, path: str, token: str) -> None:
    method = "POST" if path == TEXT else "GET"
    answer = httpx.request(method, running.url + path, headers={"Authorization": token}, json={"prompt": "x"})
    assert answer.status_code == 401
    assert "bearer token" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"prompt": "a", "suffix": "b"}, "suffix", "no fill-in-the-middle tokens"),
        ({"prompt": ""}, "prompt", "the prompt is empty"),
        ({"prompt": "a", "model": "gpt-4"}, "model", "serves 'smollm2-135m', not 'gpt-4'"),
        ({"prompt": "a", "max_tokens": 9000}, None, "the prompt has 1 tokens and max_tokens is 9000"),
        ({"prompt": "word " * 9000}, None, "the context holds 8192"),
    ],
)
def test_what_this_model_cannot_do_is_told(
    running: Running, body: dict[str, Any], param: str | None, message: str
) -> None:
    answer = running.client.post(TEXT, json=body)
    assert answer.status_code in (400, 404)
    error = answer.json()["error"]
    assert error["param"] == param
    assert message in error["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b'{"prompt": "\xff"}', 400), (b'"' + b"x" * (5 << 20) + b'"', 413), (b"[]", 400)],
)
def test_a_body_that_is_no_request_is_told(running: Running, body: bytes, status: int) -> None:
    answer = running.client.post(TEXT, content=body)
    assert answer.status_code == status
    assert "body" in answer.json()["error"]["message"]
