"""A scripted server that speaks HTTP byte by byte, so that a test decides where the splits are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field


@define
class Answer:
    """Written as given; with `hang` the connection then stays open until the client goes."""

    chunks: Iterable[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(factory=lambda: {"content-type": "text/event-stream"})
    hang: bool = False


@define
class Seen:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@define(eq=False)
class Server:
    """`answer` is called with each request; `left` counts clients that went while an answer hung."""

    answer: Callable[[Seen], Answer]
    url: str = ""
    seen: list[Seen] = field(factory=list)
    left: int = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
            raw = await reader.readexactly(int(headers.get("content-length", 0)))
            request = Seen(method, path, headers, json.loads(raw) if raw else None)
            self.seen.append(request)
            await self._write(writer, self.answer(request))
            if self.answer(request).hang:
                await reader.read()
                self.left += 1
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left += 1
        finally:
            writer.close()

    async def _write(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        lines = [f"HTTP/1.1 {answer.status} X", "connection: close"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        for chunk in answer.chunks:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)


@asynccontextmanager
async def serving(answer: Callable[[Seen], Answer] | Answer) -> AsyncIterator[Server]:
    server = Server(answer if callable(answer) else lambda _: answer)
    listening = await asyncio.start_server(server._serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()


def sse(*events: Any, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n"] if done else lines).encode()


def text_event(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": index, "text": text, "finish_reason": finish}]}


def chat_event(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]}


def as_json(body: Any, status: int = 200, **headers: str) -> Answer:
    return Answer([json.dumps(body).encode()], status, {"content-type": "application/json", **headers})
