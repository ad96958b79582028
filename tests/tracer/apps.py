"""Small web apps, started under debugpy on an interpreter that the tests found, with a load on them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

PLAIN = """
    import sys
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    def price(count):
        total = 0
        for each in range(count):
            total += each
        return total

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            count = int(self.path.strip("/"))
            body = str(price(count)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print("port", server.server_port, flush=True)
    server.serve_forever()
"""

STARLETTE = """
    import socket

    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def price(count):
        total = 0
        for each in range(count):
            total += each
        return total

    async def show(request):
        count = request.path_params["count"]
        return PlainTextResponse(str(await price(count)))

    app = Starlette(routes=[Route("/{count:int}", show)])
    listening = socket.create_server(("127.0.0.1", 0))
    print("port", listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).run([listening])
"""
STARLETTE_NEEDS = ("starlette", "uvicorn", "anyio", "idna", "h11", "click", "typing_extensions")


@define
class App:
    """A running app: its address, that of its debugpy, and a load from a thread of its own."""

    process: subprocess.Popen[str]
    debugger: str
    url: str
    answered: int = 0
    wrong: list[str] = field(factory=list)

    def get(self, count: int) -> str:
        with urllib.request.urlopen(f"{self.url}/{count}", timeout=20) as answer:
            return str(answer.read().decode())

    @contextmanager
    def load(self, count: int = 5) -> Iterator[None]:
        """Requests one after another; `answered` counts them, `wrong` holds what was not as it should be."""
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                try:
                    found = self.get(count)
                except (OSError, urllib.error.URLError) as error:
                    found = repr(error)
                if found != str(sum(range(count))):
                    self.wrong.append(found)
                    return
                self.answered += 1

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def wait_for(self, more: int) -> None:
        """Until so many more requests were answered."""
        wanted, deadline = self.answered + more, time.monotonic() + 60
        while self.answered < wanted and not self.wrong:
            assert time.monotonic() < deadline, "the app does not answer"
            time.sleep(0.01)


def library(folder: Path, names: Sequence[str]) -> Path | None:
    """A folder in which only these packages can be imported; None when one is not installed here."""
    folder.mkdir(exist_ok=True)
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            return None
        origin = Path(spec.origin)
        origin = origin.parent if origin.name == "__init__.py" else origin
        (folder / origin.name).symlink_to(origin)
    return folder


@contextmanager
def running(python: str, script: Path, library: Path) -> Iterator[App]:
    """The script under `python -m debugpy --listen`; it prints "port N" once it answers."""
    environ = {**os.environ, "PYTHONPATH": str(library), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    endpoints = script.with_suffix(".endpoints")
    process = subprocess.Popen(
        [python, "-m", "debugpy", "--listen", "127.0.0.1:0", str(script)],
        cwd=script.parent, env={**environ, "DEBUGPY_ADAPTER_ENDPOINTS": str(endpoints)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        found = re.match(r"port (\d+)", line)
        assert found, line + process.stderr.read()
        client = json.loads(endpoints.read_text())["client"]
        yield App(process, f"{client['host']}:{client['port']}", f"http://127.0.0.1:{found[1]}")
    finally:
        process.kill()
        process.communicate()
