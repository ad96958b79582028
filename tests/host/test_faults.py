"""What the host meets in a bad hour: clients that do not read, too many of them, prompts out of measure."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.host.conftest import TOKEN, Running
from tests.host.test_host import COUNT, TEXT, ask, texts, wait_until

pytestmark = pytest.mark.model


def raw(running: Running, body: bytes) -> socket.socket:
    """A connection with a request on it, of which nothing has been read."""
    host, port = running.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    head = (
        f"POST {TEXT} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def test_a_client_that_does_not_read_holds_up_nobody(running: Running) -> None:
    body = json.dumps({"prompt": COUNT, "max_tokens": 120, "stream": True}).encode()
    with raw(running, body) as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        wait_until(lambda: running.counter("requests_queued") == 1)
        assert texts(ask(running, max_tokens=2))[0]
    wait_until(lambda: running.counter("requests_queued") == 0)


def test_a_client_that_sends_half_a_request_holds_up_nobody(running: Running) -> None:
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as slow:
        slow.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert texts(ask(running, max_tokens=2))[0]


def test_two_hundred_clients_are_served_or_told_when_to_come_back(running: Running) -> None:
    body = {"prompt": COUNT, "max_tokens": 1, "temperature": 0}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    start = threading.Barrier(200)

    def one(_: int) -> httpx.Response:
        start.wait(60)
        return httpx.post(running.url + TEXT, json=body, headers=headers, timeout=120)

    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(one, range(200)))
    served = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(served) + len(refused) == 200
    assert len(served) >= 64, "as many as the queue holds"
    assert len({answer.json()["choices"][0]["text"] for answer in served}) == 1
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert texts(ask(running))[0]


def test_a_prompt_of_a_megabyte_is_refused_with_the_numbers(running: Running) -> None:
    started = time.monotonic()
    answer = running.client.post(TEXT, json={"prompt": "x = 1\n" * 170_000, "max_tokens": 4})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert "the context holds 8192" in error["message"]
    assert time.monotonic() - started < 30
    assert texts(ask(running))[0]


def test_half_a_character_is_refused_with_its_place(running: Running) -> None:
    answer = running.client.post(TEXT, content=b'{"prompt": "a\\ud800b", "max_tokens": 1}')
    assert answer.status_code == 400
    assert "UTF-8" in answer.json()["error"]["message"]
    assert texts(ask(running))[0]
