"""Talks with other makes of server, kept as JSON: played back in tests, recorded anew from a running server.

`python -m tests.model.exchanges URL TOKEN MODEL FILE` holds the talk of `talk` with a real server and writes
what was said, word for word, to FILE.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from attrs import frozen

from backtrail_model.client import HostError, ModelClient
from tests.model.scripted import Answer, Seen

QUESTION = [{"role": "user", "content": "Say hello."}]
FOLDER = Path(__file__).parent / "recorded"


@frozen
class Said:
    """What our client made of a server."""

    models: tuple[str, ...]
    """The names listed, or the message of the error."""
    chat: str
    samples: tuple[str, ...]
    middle: str
    """The text of the hole, or the message of the error."""
    unknown: str
    """The message of the error when the model is not the server's."""
    degraded: tuple[str, ...]


async def talk(client: ModelClient, url: str, token: str) -> Said:
    """Everything that Backtrail asks of a server, once."""
    try:
        models = await client.models()
    except HostError as error:
        models = (str(error),)
    chat = "".join([delta.text async for delta in client.chat(QUESTION, max_tokens=6)])
    samples = await client.complete("one two three one two", max_tokens=4, n=2, seed=3, temperature=0.5)
    try:
        (hole,) = await client.complete("def add(a, b):\n    ", suffix="\n", max_tokens=6)
        middle = hole.text
    except HostError as error:
        middle = str(error)
    degraded = client.degraded
    other = ModelClient(url, token, model="no-such-model")
    other._transport._http = client._transport._http
    try:
        unknown = "".join([delta.text async for delta in other.chat(QUESTION, max_tokens=2)])
    except HostError as error:
        unknown = str(error)
    return Said(models, chat, tuple(one.text for one in samples), middle, unknown, degraded)


class Recorder(httpx.AsyncHTTPTransport):
    """Keeps what goes over the wire."""

    def __init__(self) -> None:
        super().__init__()
        self.exchanges: list[dict[str, Any]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        text = (await answer.aread()).decode()
        self.exchanges.append(
            {
                "path": request.url.path,
                "body": json.loads(request.content) if request.content else None,
                "status": answer.status_code,
                "type": answer.headers.get("content-type", ""),
                "answer": text,
            }
        )
        return httpx.Response(answer.status_code, headers=answer.headers, content=text.encode())


def playing(name: str) -> Iterator[tuple[dict[str, Any], Answer]]:
    """What was asked, and what was answered, in turn."""
    for exchange in json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["exchanges"]:
        answer = Answer([exchange["answer"].encode()], exchange["status"], {"content-type": exchange["type"]})
        yield exchange, answer


def player(name: str) -> Any:
    """An answering function that plays a recording, and insists on being asked what was asked then."""
    turns = playing(name)
    current: dict[int, Answer] = {}

    def answer(request: Seen) -> Answer:
        if id(request) not in current:
            asked, answer_ = next(turns)
            assert (request.path, request.body) == (asked["path"], asked["body"])
            current[id(request)] = answer_
        return current[id(request)]

    return answer


async def record(url: str, token: str, model: str, file: Path, server: str) -> None:
    recorder = Recorder()
    async with ModelClient(url, token, model=model) as client:
        client._transport._http = httpx.AsyncClient(
            transport=recorder, headers={"Authorization": f"Bearer {token}"}, timeout=120
        )
        said = await talk(client, url, token)
    document = {"server": server, "exchanges": recorder.exchanges}
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(said)


if __name__ == "__main__":
    url_, token_, model_, file_, server_ = sys.argv[1:6]
    asyncio.run(record(url_, token_, model_, Path(file_), server_))
