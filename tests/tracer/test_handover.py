"""A stopped program is handed to a debugger: a DAP client on the address that was given, with the token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from backtrail_probe.wire import ProcessLimits
from backtrail_tracer.dap import Client, DapError
from backtrail_tracer.entries import Entry
from backtrail_tracer.postmortem import Address, StoppedProgram
from backtrail_tracer.session import Session
from tests.tracer.conftest import marked
from tests.tracer.trees import write

SCRIPT = """
    import atexit

    def inner(values, wanted):
        return values[wanted]

    def outer():
        note = {"left": 1}
        atexit.register(lambda: print("left with", note, flush=True))
        return inner([1, 2, 3], 3)

    outer()
"""
TEST = """
    def test_a():
        left = 3
        assert left == 4
"""
WAIT_S = 30.0


@asynccontextmanager
async def standing(
    session: Session, kind: str = "script", source: str = SCRIPT
) -> AsyncIterator[StoppedProgram]:
    path = write(session.root, {"test_work.py": source}) / "test_work.py"
    entry = Entry(f"{kind}:test_work.py", kind, (str(path),), (), session.root, "", "", (path,))
    run = await session.run(entry, postmortem=True, process_limits=ProcessLimits(wall_s=60.0))
    assert run.stopped is not None, run.trace.message
    try:
        yield run.stopped
    finally:
        await run.stopped.close()


class Debugger:
    """What an editor's debugger does, over its own connection."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def request(self, command: str, **arguments: Any) -> dict[str, Any]:
        return await self.client.request(command, arguments, WAIT_S)

    async def event(self, name: str) -> dict[str, Any]:
        return await asyncio.wait_for(self.client.event(name), WAIT_S)

    async def attach(self, token: str) -> None:
        told = await self.request("initialize", adapterID="debugpy", pathFormat="path", linesStartAt1=True)
        assert told["supportsSetVariable"]
        await self.request("attach", token=token)
        await self.event("initialized")
        await self.request("setExceptionBreakpoints", filters=[])
        await self.request("configurationDone")

    async def top(self) -> tuple[int, list[dict[str, Any]]]:
        thread = int((await self.event("stopped"))["threadId"])
        assert thread in [each["id"] for each in (await self.request("threads"))["threads"]]
        return thread, (await self.request("stackTrace", threadId=thread))["stackFrames"]

    async def local(self, frame: dict[str, Any]) -> tuple[int, dict[str, str]]:
        scopes = (await self.request("scopes", frameId=frame["id"]))["scopes"]
        reference = next(each["variablesReference"] for each in scopes if each["name"] == "Locals")
        found = (await self.request("variables", variablesReference=reference))["variables"]
        return reference, {each["name"]: each["value"] for each in found}


@asynccontextmanager
async def debugger(address: Address) -> AsyncIterator[Debugger]:
    client = Client(*await asyncio.open_connection(address.host, address.port))
    listening = asyncio.create_task(client.listen())
    try:
        yield Debugger(client)
    finally:
        client.writer.close()
        await listening


async def gone(stopped: StoppedProgram) -> None:
    async with asyncio.timeout(WAIT_S):
        while stopped.is_alive:
            await asyncio.sleep(0.05)
        await stopped.close()


async def test_frames_a_variable_set_and_the_program_goes_on_to_its_end(bare: Session) -> None:
    async with standing(bare) as stopped:
        async with debugger(await stopped.hand_over()) as it:
            await it.attach((await stopped.hand_over()).token)
            thread, frames = await it.top()
            assert [frame["name"].split()[0] for frame in frames] == ["inner", "outer", "<module>"]
            assert frames[0]["line"] == 4
            reference, values = await it.local(frames[1])
            assert values["note"] == "{'left': 1}"
            inside = (await it.request("variables", variablesReference=reference))["variables"]
            note = next(each for each in inside if each["name"] == "note")
            child = (await it.request("variables", variablesReference=note["variablesReference"]))[
                "variables"
            ]
            left = next(each["name"] for each in child if each["value"] == "1")
            container = note["variablesReference"]
            await it.request("setVariable", variablesReference=container, name=left, value="42")
            assert (await it.request("evaluate", expression="note", frameId=frames[1]["id"]))["result"]
            # Two look at the same process: the hover asks beside the debugger.
            assert (await stopped.evaluate("note['left']", (await stopped.frames())[1])).text == "42"
            await it.request("continue", threadId=thread)
            await it.event("terminated")
        await gone(stopped)
        assert "left with {'left': 42}" in stopped.output
        assert not marked(str(bare.root))


async def test_inside_a_test(session: Session) -> None:
    async with standing(session, "pytest", TEST) as stopped:
        address = await stopped.hand_over()
        async with debugger(address) as it:
            await it.attach(address.token)
            thread, frames = await it.top()
            own = next(frame for frame in frames if frame["source"]["path"].endswith("test_work.py"))
            reference, values = await it.local(own)
            assert (own["line"], values["left"]) == (3, "3")
            await it.request("setVariable", variablesReference=reference, name="left", value="4")
            assert (await it.local(own))[1]["left"] == "4"
            await it.request("continue", threadId=thread)
            await it.event("terminated")
        await gone(stopped)
        assert not marked(str(session.root))


async def test_nothing_is_told_without_the_token(session: Session) -> None:
    async with standing(session) as stopped:
        address = await stopped.hand_over()
        for arguments in ({}, {"token": "wrong"}, {"token": stopped.token}):
            async with debugger(address) as it:
                await it.request("initialize", adapterID="debugpy")
                with pytest.raises(DapError, match="comes after attach"):
                    await it.request("threads")
                with pytest.raises(DapError, match="the token is not"):
                    await it.request("attach", **arguments)
                with pytest.raises(DapError, match="ended"):
                    await it.request("threads")
        _, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n" * 3)
        writer.close()
        assert address.token not in repr(address)
        assert (await stopped.frames())[0].name == "inner"


async def test_a_debugger_that_disconnects_leaves_it_standing_for_the_next(session: Session) -> None:
    async with standing(session) as stopped:
        address = await stopped.hand_over()
        async with debugger(address) as it:
            await it.attach(address.token)
            await it.top()
            assert stopped.is_claimed
            async with debugger(address) as second:
                await second.request("initialize", adapterID="debugpy")
                with pytest.raises(DapError, match="another debugger"):
                    await second.request("attach", token=address.token)
            await it.request("disconnect")
        assert stopped.stands
        async with debugger(address) as it:
            await it.attach(address.token)
            assert (await it.top())[1][0]["line"] == 4
            await it.request("disconnect", terminateDebuggee=True)
        await gone(stopped)
        assert not marked(str(session.root))


async def test_a_program_that_was_moved_on_is_let_go_when_the_debugger_leaves(session: Session) -> None:
    async with standing(session) as stopped:
        address = await stopped.hand_over()
        async with debugger(address) as it:
            await it.attach(address.token)
            thread, _ = await it.top()
            await it.request("continue", threadId=thread)
        await gone(stopped)
        assert "left with" in stopped.output
        with pytest.raises(DapError, match="has ended"):
            await stopped.hand_over()


async def test_one_that_nobody_claims_is_released_and_one_that_is_claimed_is_not(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backtrail_tracer.postmortem.KEPT_S", 2.0)
    async with standing(session) as stopped:
        released = asyncio.Event()
        stopped.on_released = released.set
        address = await stopped.hand_over()
        async with debugger(address) as it:
            await it.attach(address.token)
            await it.top()
            await asyncio.sleep(3)
            assert stopped.is_alive and not released.is_set()
        await asyncio.wait_for(released.wait(), 20)
        await gone(stopped)
        assert not marked(str(session.root))
