"""Hands a stopped program to a person's debugger, without letting go of it.

debugpy's adapter takes one client, and that is us. So the debugger gets a DAP server on loopback that
answers the handshake itself (the program has been attached to, and has stopped, long ago) and passes
everything else on to the adapter and back. The debugger proves itself by a token in its `attach`.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

import backtrail_probe
from backtrail_tracer.dap import Client, DapError, framed, read_message

_HOST = "127.0.0.1"
_PROBE = Path(backtrail_probe.__file__).parent
_KNOWN_S = 30.0
"""So long may a connection take to prove itself."""

_OURS = frozenset({"initialized", "capabilities"})
"""Events of the adapter that belong to our handshake; the debugger has one of its own."""

_MOVING = frozenset(
    {"continue", "next", "stepIn", "stepOut", "goto", "reverseContinue", "stepBack", "restartFrame"}
)


@frozen
class Address:
    """Where the stopped program can be attached to, and what proves the right to."""

    host: str
    port: int
    token: str = field(repr=False)


@define(eq=False)
class Handover:
    """One debugger at a time. `on_leave` is called when it has gone; `on_terminate` when it asked for
    the end of the program. `moved` is true once the program does not stand at its failure any more."""

    _adapter: Client
    _capabilities: Mapping[str, Any]
    _stopped: Mapping[str, Any]
    on_claim: Callable[[], None]
    on_leave: Callable[[], None]
    on_terminate: Callable[[], None]
    moved: bool = False
    _token: str = field(factory=lambda: secrets.token_hex(32), repr=False)
    _server: asyncio.Server | None = None
    _guest: _Guest | None = None
    _guests: set[_Guest] = field(factory=set)

    async def open(self) -> Address:
        """Listens; safe to call again. Raises OSError."""
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, _HOST, 0)
            self._adapter.on_event = self._event
        return Address(_HOST, int(self._server.sockets[0].getsockname()[1]), self._token)

    @property
    def is_claimed(self) -> bool:
        """Whether a debugger is attached."""
        return self._guest is not None

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for guest in list(self._guests):
            guest.leave()

    def _event(self, name: str, body: dict[str, Any]) -> None:
        if self._guest is not None and name not in _OURS and not name.startswith("debugpy"):
            self._guest.event(name, body)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guest = _Guest(reader, writer)
        self._guests.add(guest)
        try:
            if await self._welcome(guest):
                await self._serve(guest)
        except (DapError, OSError, ValueError):
            pass  # what is no DAP, or breaks off, is a debugger that has gone
        finally:
            self._guests.discard(guest)
            guest.leave()
            if self._guest is guest:
                self._guest = None
                self.on_leave()

    async def _welcome(self, guest: _Guest) -> bool:
        """The handshake up to `attach`. Nothing is told to who does not have the token."""
        try:
            async with asyncio.timeout(_KNOWN_S):
                while (request := await guest.request()) is not None:
                    if request["command"] == "initialize":
                        guest.answer(request, self._capabilities)
                    elif request["command"] != "attach":
                        guest.refuse(request, f"{request['command']} comes after attach")
                    else:
                        return self._admit(guest, request)
        except TimeoutError:
            pass
        return False

    def _admit(self, guest: _Guest, request: Mapping[str, Any]) -> bool:
        token = str(_arguments(request).get("token") or "")
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            guest.refuse(request, "the token is not the one that Backtrail gave for this program")
            return False
        if self._guest is not None:
            guest.refuse(request, "another debugger is attached to this program")
            return False
        self._guest = guest
        guest.answer(request)
        guest.event("initialized", {})
        self.on_claim()
        return True

    async def _serve(self, guest: _Guest) -> None:
        while (request := await guest.request()) is not None:
            command = request["command"]
            if command == "configurationDone":
                guest.answer(request)
                if not self.moved:
                    guest.event("stopped", self._stopped)
            elif command in ("disconnect", "terminate"):
                self._end(guest, request, command)
                if command == "disconnect":
                    return
            else:
                self.moved |= command in _MOVING
                guest.task(self._pass_on(guest, request))

    def _end(self, guest: _Guest, request: Mapping[str, Any], command: str) -> None:
        guest.answer(request)
        if command == "terminate" or _arguments(request).get("terminateDebuggee"):
            guest.event("terminated", {})
            self.on_terminate()

    async def _pass_on(self, guest: _Guest, request: Mapping[str, Any]) -> None:
        try:
            response = await self._adapter.send(request["command"], _arguments(request))
        except DapError as error:
            guest.refuse(request, str(error))
            return
        body = response.get("body")
        if request["command"] == "stackTrace" and isinstance(body, dict):
            body = _without_probe(body)
        guest.respond(request, body, bool(response.get("success")), response.get("message"))


@define(eq=False)
class _Guest:
    """The connection of one debugger, seen from the adapter's side of the protocol."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    _numbers: itertools.count[int] = field(factory=lambda: itertools.count(1))
    _tasks: set[asyncio.Task[None]] = field(factory=set)

    async def request(self) -> dict[str, Any] | None:
        """The next request; None when there comes no more. Raises DapError."""
        while (message := await read_message(self._reader)) is not None:
            if message.get("type") == "request" and isinstance(message.get("command"), str):
                return message
        return None

    def answer(self, request: Mapping[str, Any], body: Mapping[str, Any] | None = None) -> None:
        self.respond(request, body, True, None)

    def refuse(self, request: Mapping[str, Any], reason: str) -> None:
        self.respond(request, None, False, reason)

    def respond(self, request: Mapping[str, Any], body: Any, success: bool, message: Any) -> None:
        told = {"type": "response", "request_seq": request.get("seq"), "command": request["command"]}
        told |= {"success": success} | ({} if body is None else {"body": body})
        self._send(told | ({} if message is None else {"message": message}))

    def event(self, name: str, body: Mapping[str, Any]) -> None:
        self._send({"type": "event", "event": name, "body": body})

    def _send(self, message: Mapping[str, Any]) -> None:
        if not self._writer.is_closing():
            self._writer.write(framed({"seq": next(self._numbers), **message}))

    def task(self, work: Coroutine[Any, Any, None]) -> None:
        """Answers may come in another order than questions, as from the adapter itself."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def leave(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        self._writer.close()


def _arguments(request: Mapping[str, Any]) -> dict[str, Any]:
    arguments = request.get("arguments")
    return arguments if isinstance(arguments, dict) else {}


def _without_probe(body: dict[str, Any]) -> dict[str, Any]:
    """The frames between the program and the interpreter's start are ours and of no interest."""
    frames = [each for each in body.get("stackFrames", ()) if not is_probes(each)]
    gone = len(body.get("stackFrames", ())) - len(frames)
    total = body.get("totalFrames")
    return {**body, "stackFrames": frames} | ({"totalFrames": total - gone} if isinstance(total, int) else {})


def is_probes(frame: Mapping[str, Any]) -> bool:
    """Whether a DAP stack frame is one of the probe's own."""
    path = (frame.get("source") or {}).get("path")
    return bool(path) and _PROBE in Path(str(path)).parents
