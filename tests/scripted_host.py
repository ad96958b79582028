"""A model host for tests: the OpenAI wire over real HTTP, with answers that the test decides.

with ScriptedHost(fill=knows(FIXED_SOURCE), reply=lambda messages: "Because …") as host:
    client = ModelClient(host.url, host.token)
    …
    assert host.requests[0].path == "/v1/completions"
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.loopback import Handler, Loopback

MODEL = "scripted-coder"
TOKEN = "scripted-token"

Fill = Callable[[str, str], str]  # text before the hole, text after it -> what goes into it
Reply = Callable[[Sequence[Mapping[str, str]]], str]  # chat messages -> the answer


@dataclass(frozen=True)
class Request:
    path: str
    body: Mapping[str, Any]


@dataclass
class ScriptedHost(Loopback):
    """Serves on a free port of loopback while it is entered. `requests` is what it was asked, in order."""

    fill: Fill = lambda before, after: ""
    reply: Reply = lambda messages: ""
    token: str = TOKEN
    model: str = MODEL
    requests: list[Request] = field(default_factory=list)

    def handler(self) -> type[Handler]:
        return _handler_of(self)

    def asked(self, path: str) -> list[Mapping[str, Any]]:
        """The bodies of all requests to a path such as `/v1/completions`."""
        return [request.body for request in self.requests if request.path == path]


def knows(fixed: str) -> Fill:
    """A filler that knows how the file should read: it answers with what stands there between the lines
    around the hole, and with nothing useful when these lines are not both in it."""
    lines = fixed.splitlines()

    def fill(before: str, after: str) -> str:
        above, indent = before.rsplit("\n", 1) if "\n" in before else ("", before)
        last = next((line for line in reversed(above.splitlines()) if line.strip()), None)
        first = next((line for line in after.splitlines() if line.strip()), None)
        start = lines.index(last) + 1 if last in lines else 0
        stop = lines.index(first, start) if first in lines[start:] else len(lines)
        return "\n".join(lines[start:stop]).strip("\n").removeprefix(indent)

    return fill


def _handler_of(host: ScriptedHost) -> type[Handler]:
    class Answers(Handler):
        def do_GET(self) -> None:
            if self.path == "/health":
                told = {"status": "ok", "model": host.model, "device": "cpu", "reason": "written by hand"}
                self._json(200, told)
            elif self._allowed() and self.path == "/v1/models":
                self._json(200, {"object": "list", "data": [{"id": host.model, "object": "model"}]})
            elif self._allowed():
                self._json(404, {"error": {"message": f"no {self.path}"}})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self._allowed():
                return
            host.requests.append(Request(self.path, body))
            if self.path == "/v1/completions":
                text = host.fill(body["prompt"], body.get("suffix") or "")
                self._answer(body, lambda index: {"index": index, "text": text})
            elif self.path == "/v1/chat/completions":
                said = host.reply(body["messages"])
                key = "delta" if body.get("stream") else "message"
                self._answer(
                    body, lambda index: {"index": index, key: {"role": "assistant", "content": said}}
                )
            else:
                self._json(404, {"error": {"message": f"no {self.path}"}})

        def _allowed(self) -> bool:
            if self.headers.get("Authorization") == f"Bearer {host.token}":
                return True
            self._json(401, {"error": {"message": "wrong token"}})
            return False

        def _answer(self, body: Mapping[str, Any], choice: Callable[[int], dict[str, Any]]) -> None:
            choices = [choice(index) | {"finish_reason": "stop"} for index in range(body.get("n") or 1)]
            if not body.get("stream"):
                self._json(200, {"model": host.model, "choices": choices})
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for one in choices:
                event = json.dumps({"model": host.model, "choices": [one]})
                self.wfile.write(f"data: {event}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")

        def _json(self, status: int, body: Mapping[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Answers
