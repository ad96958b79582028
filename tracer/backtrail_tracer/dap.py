"""The Debug Adapter Protocol as a client of it speaks it: framing, requests, events."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

_MESSAGE_BYTES = 64 * 1024 * 1024


class DapError(Exception):
    """A request that failed, was not answered in time, or could not be sent; in words."""


async def read_message(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """One message; None at the end of the stream. Raises DapError for what is no DAP."""
    length = 0
    while line := await reader.readline():
        name, _, value = line.decode("latin-1").partition(":")
        if not line.strip():
            break
        if name.strip().lower() == "content-length":
            length = int(value) if value.strip().isdigit() else 0
    else:
        return None
    if not 0 < length <= _MESSAGE_BYTES:
        raise DapError(f"a message of {length} bytes")
    try:
        message = json.loads(await reader.readexactly(length))
    except (ValueError, asyncio.IncompleteReadError) as error:
        raise DapError(f"a message that is no JSON: {error}") from error
    if not isinstance(message, dict):
        raise DapError("a message that is no object")
    return message


def framed(message: Mapping[str, Any]) -> bytes:
    """A message as it goes over the wire."""
    data = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n%b" % (len(data), data)


@define(eq=False)
class Client:
    """A connection to an adapter. `listen` must run as a task while requests are made.

    `on_event` is called with the name and the body of each event as it comes.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    on_event: Callable[[str, dict[str, Any]], None] | None = None
    _numbers: itertools.count[int] = field(factory=lambda: itertools.count(1))
    _waiting: dict[int, asyncio.Future[dict[str, Any]]] = field(factory=dict)
    _events: dict[str, asyncio.Future[dict[str, Any]]] = field(factory=dict)
    _closed: bool = False

    async def listen(self) -> None:
        """Takes messages until the stream ends; then everything that waits is told so."""
        try:
            while (message := await read_message(self.reader)) is not None:
                self._take(message)
        except (DapError, OSError, ValueError):
            pass  # to those who wait, a broken stream is an ended one
        finally:
            self._closed = True
            self.writer.close()
            for future in [*self._waiting.values(), *self._events.values()]:
                if not future.done():
                    future.set_exception(DapError("the debug adapter has ended"))
                    future.exception()  # nobody may be waiting, which is no reason for a complaint

    def _take(self, message: Mapping[str, Any]) -> None:
        if message.get("type") == "event":
            name, body = str(message.get("event")), _body(message)
            future = self.event(name)
            if not future.done():
                future.set_result(body)
            if self.on_event is not None:
                self.on_event(name, body)
        elif message.get("type") == "response":
            waiting = self._waiting.pop(message.get("request_seq", 0), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(dict(message))

    def event(self, name: str) -> asyncio.Future[dict[str, Any]]:
        """The body of the first event of that name, which may have come already."""
        if name not in self._events:
            self._events[name] = asyncio.get_running_loop().create_future()
            if self._closed:
                self._events[name].set_exception(DapError("the debug adapter has ended"))
        return self._events[name]

    def send(self, command: str, arguments: Mapping[str, Any]) -> asyncio.Future[dict[str, Any]]:
        """Sends a request; the future holds the whole response."""
        if self._closed:
            raise DapError("the debug adapter has ended")
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"seq": number, "type": "request", "command": command, "arguments": arguments}
        self.writer.write(framed(message))
        return future

    async def request(self, command: str, arguments: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """The body of the response. Raises DapError when it fails or takes longer than `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                response = await self.send(command, arguments)
        except TimeoutError as error:
            raise DapError(f"no answer to `{command}` within {timeout_s:g} s") from error
        return checked(response)


def checked(response: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a response. Raises DapError, with the adapter's words, when it says failure."""
    if not response.get("success"):
        raise DapError(str(response.get("message") or f"{response.get('command')} failed"))
    return _body(response)


def _body(message: Mapping[str, Any]) -> dict[str, Any]:
    body = message.get("body")
    return body if isinstance(body, dict) else {}
