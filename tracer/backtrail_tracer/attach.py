"""Records a running program for a while, by way of the debugpy that it was started under.

We attach as a debugger would, have the program load the probe by its path, let it record the chosen
files, and detach; the program goes on. Program and recorder share this machine's files.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from attrs import frozen

import backtrail_probe
from backtrail_probe.wire import SCRIPT, RecordLimits, RunSpec
from backtrail_tracer.dap import Client, DapError, checked
from backtrail_tracer.reader import Ending, read
from backtrail_tracer.sandbox import scratch_folder
from backtrail_tracer.trace import Trace

_CONNECT_S = 5.0
_HANDSHAKE_S = 20.0
_EVALUATE_S = 20.0  # of a busy program; finding its code takes a moment
_FREE_S = 2.0  # beyond the time asked for: then the program's own clock ends the recording

_PROBE = Path(backtrail_probe.__file__).parent
_LOAD = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
probe = sys.modules.get("backtrail_probe")
if probe is None:
    spec = spec_from_file_location("backtrail_probe", {init!r}, submodule_search_locations=[{folder!r}])
    probe = sys.modules["backtrail_probe"] = module_from_spec(spec)
    spec.loader.exec_module(probe)
import backtrail_probe.attached
"""


class AttachError(Exception):
    """The program cannot be attached to or recorded; says why and what to do."""


@frozen
class Target:
    """Where the program's debugpy listens."""

    host: str
    port: int

    @staticmethod
    def parse(text: str) -> Target:
        """From "HOST:PORT" or "PORT". Raises ValueError."""
        host, _, port = text.rpartition(":")
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"{text!r} is no HOST:PORT, such as 127.0.0.1:5678")
        return Target(host.strip("[]") or "127.0.0.1", int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def chosen(root: Path, patterns: Sequence[str]) -> list[Path]:
    """The Python files below `root` that patterns choose; the folder itself when there are none."""
    if not patterns:
        return [root]
    found = {path for pattern in patterns for path in _matches(root, pattern) if path.suffix == ".py"}
    return sorted(found)


def _matches(root: Path, pattern: str) -> Iterable[Path]:
    given = root / pattern
    if given.is_dir():
        return given.rglob("*.py")
    if given.is_file():
        return [given]
    return root.glob(pattern) if not Path(pattern).is_absolute() else ()


async def record(
    target: Target, seconds: float, *, root: Path, files: Sequence[Path], limits: RecordLimits | None = None
) -> Trace:
    """Attaches, records for `seconds`, detaches. Cancelling ends the recording and detaches too.

    Raises AttachError when there is nothing to attach to, another debugger is there, or the program's
    Python cannot be recorded. A program that ends meanwhile leaves its trace.
    """
    with scratch_folder() as scratch:
        spec = _spec(root, files, scratch, limits or RecordLimits())
        path = scratch / "spec.json"
        path.write_text(spec.to_json(), encoding="utf-8")
        async with _attached(target) as client:
            ending = await _recorded(client, path, seconds)
        return (await asyncio.to_thread(read, Path(spec.log), f"attach:{target}", ending)).index()


def _spec(root: Path, files: Sequence[Path], scratch: Path, limits: RecordLimits) -> RunSpec:
    return RunSpec(
        kind=SCRIPT,
        target=[],
        root=str(root),
        cwd=str(root),
        scratch=str(scratch),
        log=str(scratch / "log"),
        traced=[str(path) for path in files],
        guard=False,  # the program is not ours to hold back
        record_limits=limits,
    )


async def _recorded(client: Client, spec: Path, seconds: float) -> Ending:
    load = _LOAD.format(init=str(_PROBE / "__init__.py"), folder=str(_PROBE))
    await _evaluate(client, f"exec({load!r}, {{}})")
    refused = await _call(client, f"begin({str(spec)!r}, {seconds + _FREE_S!r})")
    if refused:
        raise AttachError(refused[0].upper() + refused[1:])
    over = client.event("terminated")
    try:
        await asyncio.wait([over], timeout=seconds)
    finally:
        if not over.done():
            with suppress(AttachError):
                await _call(client, "end()")
    if over.done():
        return Ending("died", "the program ended while it was recorded", seconds=seconds)
    return Ending()


async def _call(client: Client, call: str) -> str:
    return await _evaluate(client, f'__import__("sys").modules["backtrail_probe.attached"].{call}')


async def _evaluate(client: Client, expression: str) -> str:
    """In a thread of debugpy's, while the program runs."""
    try:
        body = await client.request("evaluate", {"expression": expression, "context": "repl"}, _EVALUATE_S)
    except DapError as error:
        raise AttachError(f"The program could not load the recorder from {_PROBE}: {error}") from error
    return str(body.get("result") or "")


@asynccontextmanager
async def _attached(target: Target) -> AsyncIterator[Client]:
    client = await _connect(target)
    listening = asyncio.create_task(client.listen())
    try:
        await _shake_hands(client, target)
        try:
            yield client
        finally:
            if not client.event("terminated").done():
                with suppress(DapError):
                    await client.request("disconnect", {"terminateDebuggee": False}, _HANDSHAKE_S)
    finally:
        client.writer.close()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _connect(target: Target) -> Client:
    try:
        async with asyncio.timeout(_CONNECT_S):
            return Client(*await asyncio.open_connection(target.host, target.port, limit=1024 * 1024))
    except (OSError, TimeoutError) as error:
        raise AttachError(
            f"Nothing can be attached to at {target} ({error or 'no answer'}). Start the program with: "
            f"python -m debugpy --listen {target} …"
        ) from error


async def _shake_hands(client: Client, target: Target) -> None:
    about = {"clientID": "backtrail", "adapterID": "python", "linesStartAt1": True, "pathFormat": "path"}
    options = {"justMyCode": False, "subProcess": False, "showReturnValue": False}
    connect = {"connect": {"host": target.host, "port": target.port}}
    try:
        await client.request("initialize", about, _HANDSHAKE_S)
        attached = client.send("attach", {**options, **connect})
        first = [attached, client.event("initialized")]
        done, _ = await asyncio.wait(first, timeout=_HANDSHAKE_S, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise DapError("it does not answer")
        if attached.done():
            checked(attached.result())
        await client.request("configurationDone", {}, _HANDSHAKE_S)
        async with asyncio.timeout(_HANDSHAKE_S):
            checked(await attached)
    except (DapError, TimeoutError) as error:
        raise AttachError(
            f"The debugpy at {target} takes no debugger now: {error or 'no answer'}. If another one is "
            "attached, detach it first"
        ) from error
