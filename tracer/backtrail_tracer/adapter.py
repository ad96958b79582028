"""debugpy's adapter, and the socket by which a failed program comes to it.

While a run goes on only a socket listens; a run that does not fail pays for nothing more. When a
failure shows in the log, debugpy's adapter is started, and what the program sends to the socket is
relayed to it. The adapter speaks DAP over its stdin and stdout, so no port for clients is open. When
this process goes away, the socket and the pipes close, and the program with them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import socket
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import define, field

from backtrail_probe.wire import PostMortem
from backtrail_tracer import bubblewrap
from backtrail_tracer.dap import Client, DapError, checked
from backtrail_tracer.starting import started_process

_HOST = "127.0.0.1"
_SOCKET = "debugger"
READY_S = 15.0

# The program has to prove itself to the adapter, or any user of the machine could pose as it. debugpy
# forgets its token at an `attach` that listens, so the module is made to keep it. The token comes by the
# environment: a command line can be read by everybody.
_START_ADAPTER = """
import os, sys, types
from debugpy import adapter
token = os.environ.pop("BACKTRAIL_TOKEN")
class Keeping(types.ModuleType):
    access_token = property(lambda module: token, lambda module, value: None)
adapter.__class__ = Keeping
del sys.argv[1:]
from debugpy.adapter.__main__ import main
main()
"""


def debugpy_folder() -> Path:
    """The folder that holds our `debugpy` package, which the program imports by path."""
    spec = importlib.util.find_spec("debugpy")
    if spec is None or spec.origin is None:
        raise DapError("debugpy is not installed beside backtrail: install backtrail again")
    return Path(spec.origin).parent.parent


def _socket_in(folder: Path) -> socket.socket:
    """Bound by way of the folder's descriptor: the path itself may be too long for an address."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        made.bind(f"/proc/self/fd/{descriptor}/{_SOCKET}")
    except BaseException:
        made.close()
        raise
    finally:
        os.close(descriptor)
    return made


@define(eq=False)
class Adapter:
    """A place for the program to connect to; an async context manager, also closed by `close`.

    With a `folder` it is a socket file in there, which a sandbox without a network can reach as well.
    """

    folder: Path | None = None
    token: str = field(factory=lambda: secrets.token_hex(32), repr=False)
    client: Client | None = None
    capabilities: dict[str, Any] = field(factory=dict)  # what debugpy said it can do
    _server: asyncio.Server | None = None
    _process: asyncio.subprocess.Process | None = None
    _starting: asyncio.Task[tuple[str, int]] | None = None
    _tasks: set[asyncio.Task[Any]] = field(factory=set)
    _writers: set[asyncio.StreamWriter] = field(factory=set)
    _attached: asyncio.Future[dict[str, Any]] | None = None

    async def __aenter__(self) -> Adapter:
        if self.folder is None:
            self._server = await asyncio.start_server(self._connected, _HOST, 0)
        else:
            self._server = await asyncio.start_unix_server(self._connected, sock=_socket_in(self.folder))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def host(self) -> str:
        """An address, or the path of a socket file; then the port is 0."""
        return _HOST if self.folder is None else str(self.folder / _SOCKET)

    @property
    def port(self) -> int:
        assert self._server is not None
        if self.folder is not None:
            return 0
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def address(self) -> PostMortem:
        return PostMortem(self.host, self.port, self.token, str(debugpy_folder()))

    def wake(self) -> None:
        """Starts debugpy's adapter, once; it takes about as long as the program's import of debugpy."""
        if self._starting is None:
            self._starting = self._task(self._start())

    def _task(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        task.add_done_callback(self._tasks.discard)
        return task

    async def _start(self) -> tuple[str, int]:
        """Host and port where the adapter waits for the program."""
        pipe = asyncio.subprocess.PIPE
        environ = {name: value for name, value in os.environ.items() if not name.startswith("DEBUGPY")}
        # While it starts up the adapter does not notice that its stdin has closed, and would stay for ever.
        command = bubblewrap.dying([sys.executable, "-c", _START_ADAPTER]).argv
        self._process = process = await started_process(
            asyncio.create_subprocess_exec(
                *command,
                stdin=pipe,
                stdout=pipe,
                stderr=asyncio.subprocess.DEVNULL,
                env={**environ, "BACKTRAIL_TOKEN": self.token},
                limit=1024 * 1024,
                start_new_session=True,
            )
        )
        assert process.stdout is not None and process.stdin is not None
        self.client = client = Client(process.stdout, process.stdin)
        self._task(client.listen())
        about = {"clientID": "backtrail", "adapterID": "python", "linesStartAt1": True, "pathFormat": "path"}
        self.capabilities = await client.request("initialize", about, READY_S)
        listen = {"host": _HOST, "port": 0}
        self._attached = client.send(
            "attach", {"listen": listen, "justMyCode": False, "subProcess": False, "showReturnValue": False}
        )
        async with asyncio.timeout(READY_S):
            waiting = await client.event("debugpyWaitingForServer")
        return str(waiting["host"]), int(waiting["port"])

    async def configure(self) -> None:
        """Ends the handshake once the program has connected. Raises DapError."""
        self.wake()
        assert self._starting is not None
        try:
            async with asyncio.timeout(READY_S):
                await asyncio.shield(self._starting)
            assert self.client is not None and self._attached is not None
            async with asyncio.timeout(READY_S):
                await asyncio.shield(self.client.event("initialized"))
            # The stop is made on purpose by the probe; pydevd wants the filter set for it all the same.
            await self.client.request("setExceptionBreakpoints", {"filters": ["uncaught"]}, READY_S)
            await self.client.request("configurationDone", {}, READY_S)
            async with asyncio.timeout(READY_S):
                checked(await asyncio.shield(self._attached))
        except (TimeoutError, OSError) as error:
            raise DapError("the program did not connect to the debugger") from error

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The program has connected: its bytes go to the adapter and back, until one side closes."""
        self._writers.add(writer)
        self.wake()
        assert self._starting is not None
        try:
            host, port = await asyncio.shield(self._starting)
            inner_reader, inner_writer = await asyncio.open_connection(host, port)
        except (TimeoutError, DapError, OSError):
            writer.close()
            return
        self._writers.add(inner_writer)
        pumps = [self._task(_pump(reader, inner_writer)), self._task(_pump(inner_reader, writer))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for each in (writer, inner_writer):
            each.close()

    async def close(self) -> None:
        """Ends the adapter and every connection; safe to call twice."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.close()
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        for task in list(self._tasks):
            task.cancel()
        if self._process is not None:
            await self._process.wait()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # the other side is gone, which ends the relay
