"""A very small DAP client over the stdio of debugpy's adapter, synchronous."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from queue import Empty, Queue
from typing import Any


class Dap:
    """A context manager; `port` is where the program has to connect once `listen` was called."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "debugpy.adapter"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ
        )
        self._messages: Queue[dict[str, Any]] = Queue()
        self._kept: list[dict[str, Any]] = []
        self._number = 0
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Dap:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while line := stream.readline():
            length = int(line.split(b":")[1])
            stream.readline()
            self._messages.put(json.loads(stream.read(length)))

    def send(self, command: str, **arguments: Any) -> int:
        self._number += 1
        request = {"seq": self._number, "type": "request", "command": command, "arguments": arguments}
        data = json.dumps(request).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(data), data))
        self._process.stdin.flush()
        return self._number

    def request(self, command: str, **arguments: Any) -> dict[str, Any]:
        number = self.send(command, **arguments)
        return self._wait(lambda m: m["type"] == "response" and m["request_seq"] == number)

    def event(self, name: str) -> dict[str, Any]:
        return self._wait(lambda m: m["type"] == "event" and m["event"] == name)

    def _wait(self, fits: Any, timeout_s: float = 30) -> dict[str, Any]:
        for message in self._kept:
            if fits(message):
                self._kept.remove(message)
                return dict(message.get("body") or {})
        while True:
            try:
                message = self._messages.get(timeout=timeout_s)
            except Empty as error:
                raise TimeoutError(f"no answer; came: {self._kept}") from error
            if fits(message):
                assert message.get("success", True), message
                return dict(message.get("body") or {})
            self._kept.append(message)

    def either(self, *names: str) -> dict[str, Any]:
        """The next event with one of the names, as a whole message."""
        found: list[dict[str, Any]] = []
        self._wait(lambda m: m["type"] == "event" and m["event"] in names and not found.append(m))
        return found[0]

    def listen(self, **more: Any) -> tuple[str, int]:
        """Waits for a program; the attach request, with `more` arguments, is answered when it has come."""
        self.request("initialize", adapterID="python", linesStartAt1=True, pathFormat="path")
        settings = {"justMyCode": False, "subProcess": False, **more}
        self.send("attach", listen={"host": "127.0.0.1", "port": 0}, **settings)
        waiting = self.event("debugpyWaitingForServer")
        return waiting["host"], waiting["port"]

    def configure(self) -> None:
        self.event("initialized")
        self.request("configurationDone")
