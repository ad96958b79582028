"""A small hub on loopback: the part of the Hugging Face hub's HTTP API that fetching a model needs.

`cuts` says after how many bytes each of the next answers to a GET of a file breaks off; small files come
whole, since files are fetched side by side.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from tests.loopback import Handler, Loopback

SMALL = 100
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub(Loopback):
    """Serves `files` of one repository while it is entered. `fetched` is what was asked for: name, range."""

    repository: str
    files: dict[str, bytes]
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    fetched: list[tuple[str, str]] = field(default_factory=list)

    def handler(self) -> type[Handler]:
        return _handler_of(self)


def _handler_of(hub: Hub) -> type[Handler]:
    class Answers(Handler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            path = self.path.partition("?")[0]
            files, about = f"/{hub.repository}/resolve/", f"/api/models/{hub.repository}"
            if path.startswith(files):
                self._file(path.removeprefix(files).partition("/")[2], body)
            elif path.startswith(f"{about}/tree/"):
                self._tree()
            elif path.startswith(about):
                self._about()
            else:
                self._send(200 if path == "/" else 404, b"")

        def _about(self) -> None:
            siblings = [{"rfilename": name} for name in hub.files]
            known = {"id": hub.repository, "modelId": hub.repository, "sha": COMMIT, "siblings": siblings}
            self._send(200, json.dumps(known).encode(), {"Content-Type": "application/json"})

        def _tree(self) -> None:
            rows = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in hub.files.items()
            ]
            self._send(200, json.dumps(rows).encode(), {"Content-Type": "application/json"})

        def _file(self, name: str, body: bool) -> None:
            content = hub.files[name]
            asked = self.headers.get("Range", "")
            start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked and hub.ranges else 0
            headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            if asked and hub.ranges:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            cut = len(content)
            if body:
                hub.fetched.append((name, asked))
                cut = hub.cuts.pop(0) if hub.cuts and len(content) > SMALL else cut
            self._send(206 if asked and hub.ranges else 200, content[start:], headers, body=body, cut=cut)

        def _send(
            self,
            status: int,
            content: bytes,
            headers: dict[str, str] | None = None,
            *,
            body: bool = True,
            cut: int | None = None,
        ) -> None:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content[:cut])
            self.close_connection = True

    return Answers
