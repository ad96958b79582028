"""The language server: built by a factory, served on stdin and stdout or on a loopback port.

What is heavy is imported by the functions that need it, after the garbage collector has been told to
wait: making the protocol's six hundred classes would set it off again and again.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pygls.io_ import AsyncReader, AsyncWriter, Writer

    from backtrail_server.protocol import Server
    from backtrail_server.services import Services

_log = logging.getLogger(__name__)


def create_server(services: Services | None = None) -> Server:
    """A server with all features. It holds its state; nothing is kept in modules."""
    from backtrail_server.core import Core
    from backtrail_server.editor import Editor
    from backtrail_server.features import register_all
    from backtrail_server.protocol import Server
    from backtrail_server.services import real

    server = Server()
    server.core = Core(services or real(), Editor(server))
    register_all(server, server.core)
    return server


def serve(tcp: int | None = None) -> None:
    """Serve one editor on stdin and stdout, or on 127.0.0.1:`tcp`, until it says `exit` or goes away.

    However it ends, by `exit`, the end of its input or a signal, no process of ours is left behind.
    Raises SystemExit with the status that the protocol wants.
    """
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    gc.disable()  # until `initialized`
    server = create_server()
    signalled = asyncio.run(_serve(server, tcp))
    if signalled:
        # The thread that reads stdin cannot be woken, and a normal end would wait for it.
        sys.stderr.flush()
        os._exit(128 + signal.SIGTERM)


async def _serve(server: Server, tcp: int | None) -> bool:
    """Returns whether a signal ended it."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is not None:
        with contextlib.suppress(NotImplementedError):  # on Windows, where there is no SIGTERM to hear
            loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await (_talk_io(server) if tcp is None else _talk_tcp(server, tcp))
    except asyncio.CancelledError:
        return True
    finally:
        await server.core.close()
    return False


async def _talk(server: Server, reader: AsyncReader, writer: AsyncWriter | Writer) -> None:
    from pygls.io_ import run_async

    server.protocol.set_writer(writer)
    await run_async(
        stop_event=threading.Event(),
        reader=reader,
        protocol=server.protocol,
        logger=_log,
        error_handler=server.report_server_error,
    )


async def _talk_io(server: Server) -> None:
    from pygls.io_ import StdinAsyncReader, StdoutWriter

    stdin, stdout = _private_streams()
    await _talk(server, StdinAsyncReader(stdin, server.thread_pool), StdoutWriter(stdout))


async def _talk_tcp(server: Server, port: int) -> None:
    """One editor, then the end: whoever wants another server starts another."""
    came: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    came = asyncio.get_running_loop().create_future()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if came.done():
            writer.close()
        else:
            came.set_result((reader, writer))

    listening = await asyncio.start_server(connected, "127.0.0.1", port)
    try:
        reader, writer = await came
        await _talk(server, reader, _Lines(writer))
    finally:
        listening.close()


class _Lines:
    """A stream as pygls writes to it."""

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        self._stream.write(data)

    def close(self) -> None:
        self._stream.close()


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """The protocol's own descriptors. What else is written to stdout goes to stderr, and what else reads
    stdin, in this process or a child of it, finds it empty."""
    stdin, stdout = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout = sys.stderr
    return os.fdopen(stdin, "rb"), os.fdopen(stdout, "wb")
