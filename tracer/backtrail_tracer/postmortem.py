"""A program that stands still at its failure, under debugpy.

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
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import define, field, frozen

import backtrail_probe
from backtrail_probe.wire import PostMortem
from backtrail_tracer import bubblewrap
from backtrail_tracer.dap import Client, DapError, checked
from backtrail_tracer.expressions import is_safe_expression
from backtrail_tracer.program import Program
from backtrail_tracer.trace import Value

_HOST = "127.0.0.1"
_SOCKET = "debugger"
_PROBE = Path(backtrail_probe.__file__).parent
_READY_S = 15.0
_ANSWER_S = 5.0
_EVALUATE_S = 1.0
_KEPT_S = 600.0
_TEXT = 2000

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
        self._process = process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL,
            env={**environ, "BACKTRAIL_TOKEN": self.token}, limit=1024 * 1024, start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None and process.stdin is not None
        self.client = client = Client(process.stdout, process.stdin)
        self._task(client.listen())
        about = {"clientID": "backtrail", "adapterID": "python", "linesStartAt1": True, "pathFormat": "path"}
        await client.request("initialize", about, _READY_S)
        listen = {"host": _HOST, "port": 0}
        self._attached = client.send(
            "attach", {"listen": listen, "justMyCode": False, "subProcess": False, "showReturnValue": False}
        )
        waiting = await asyncio.wait_for(client.event("debugpyWaitingForServer"), _READY_S)
        return str(waiting["host"]), int(waiting["port"])

    async def configure(self) -> None:
        """Ends the handshake once the program has connected. Raises DapError."""
        self.wake()
        assert self._starting is not None
        try:
            await asyncio.wait_for(asyncio.shield(self._starting), _READY_S)
            assert self.client is not None and self._attached is not None
            await asyncio.wait_for(asyncio.shield(self.client.event("initialized")), _READY_S)
            # The stop is made on purpose by the probe; pydevd wants the filter set for it all the same.
            await self.client.request("setExceptionBreakpoints", {"filters": ["uncaught"]}, _READY_S)
            await self.client.request("configurationDone", {}, _READY_S)
            checked(await asyncio.wait_for(asyncio.shield(self._attached), _READY_S))
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


@frozen
class StoppedFrame:
    """A frame of the stopped program; `id` is DAP's and holds as long as the program is stopped."""

    id: int
    name: str
    path: Path | None
    line: int


@define(eq=False)
class StoppedProgram:
    """Owned by the caller of `Session.run`, who must `close` it; a time limit ends it anyway."""

    _program: Program
    _adapter: Adapter
    _resources: AsyncExitStack
    _stopping: asyncio.Task[int] = field(init=False)
    _timer: asyncio.TimerHandle = field(init=False)
    _closing: asyncio.Task[None] | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._stopping = asyncio.ensure_future(self._stop())
        self._stopping.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._timer = asyncio.get_running_loop().call_later(_KEPT_S, self._start_closing)

    @property
    def host(self) -> str:
        return self._adapter.host

    @property
    def port(self) -> int:
        return self._adapter.port

    @property
    def token(self) -> str:
        return self._adapter.token

    @property
    def pid(self) -> int:
        return self._program.pid

    @property
    def is_alive(self) -> bool:
        return self._closing is None and not self._program.has_exited

    async def _stop(self) -> int:
        """The id of the thread that stands at the failure."""
        await self._adapter.configure()
        assert self._adapter.client is not None
        try:
            stopped = await asyncio.wait_for(self._adapter.client.event("stopped"), _READY_S)
        except TimeoutError as error:
            raise DapError("the program did not stop at its failure") from error
        return int(stopped["threadId"])

    async def _ready(self) -> int:
        if not self.is_alive:
            raise DapError("the stopped program has ended")
        return await asyncio.shield(self._stopping)

    async def _request(self, command: str, arguments: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        await self._ready()
        assert self._adapter.client is not None
        return await self._adapter.client.request(command, arguments, timeout_s)

    async def frames(self) -> tuple[StoppedFrame, ...]:
        """The frames at the failure, innermost first, without the probe's own. Raises DapError when the
        program is gone."""
        body = await self._request("stackTrace", {"threadId": await self._ready()}, _ANSWER_S)
        frames = map(_frame, body.get("stackFrames", ()))
        return tuple(frame for frame in frames if frame.path is None or _PROBE not in frame.path.parents)

    async def scopes(self, frame: StoppedFrame) -> dict[str, dict[str, Value]]:
        """Scope name ("Locals", "Globals") -> variable -> value. Raises DapError."""
        body = await self._request("scopes", {"frameId": frame.id}, _ANSWER_S)
        return {
            str(scope["name"]): await self._variables(int(scope["variablesReference"]))
            for scope in body.get("scopes", ())
        }

    async def _variables(self, reference: int) -> dict[str, Value]:
        body = await self._request("variables", {"variablesReference": reference}, _ANSWER_S)
        return {
            str(each["name"]): _value(each.get("type"), each.get("value"))
            for each in body.get("variables", ())
        }

    async def evaluate(self, expression: str, frame: StoppedFrame, *, asked_for: bool = False) -> Value:
        """The value of an expression in a frame, within a second.

        What contains a call is refused (ValueError) unless the person asked for exactly that. Raises
        DapError when the expression raises, takes too long, or the program is gone.
        """
        if not asked_for and not is_safe_expression(expression):
            raise ValueError(f"{expression!r} is not evaluated without being asked for: it could run code")
        arguments = {"expression": expression, "frameId": frame.id, "context": "hover"}
        body = await self._request("evaluate", arguments, _EVALUATE_S)
        return _value(body.get("type"), body.get("result"))

    def _start_closing(self) -> asyncio.Task[None]:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        return self._closing

    async def close(self) -> None:
        """Ends the program with its children and the adapter; safe to call twice."""
        await asyncio.shield(self._start_closing())

    async def _close(self) -> None:
        self._timer.cancel()
        self._stopping.cancel()
        try:
            await self._program.end()
        finally:
            await self._resources.aclose()


def _frame(about: Mapping[str, Any]) -> StoppedFrame:
    path = (about.get("source") or {}).get("path")
    # debugpy marks the frame that it thinks is the current one in its name.
    name = str(about["name"]).removesuffix(" (Current frame)")
    return StoppedFrame(int(about["id"]), name, Path(path) if path else None, int(about["line"]))


def _value(kind: Any, text: Any) -> Value:
    shown = str(text or "")
    return Value(str(kind or ""), shown[:_TEXT], cut=len(shown) > _TEXT)
