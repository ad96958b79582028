"""One HTTP connection pool to one host: checks where it goes, and turns trouble into words.

httpx is imported when the first request is made, since the language server must start fast.
Redirects are not followed and proxies from the environment are not used: a prompt goes to the
address that was allowed, or nowhere.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from backtrail_model import sse
from backtrail_model.errors import (
    HostConfused,
    HostNotAllowed,
    HostRefused,
    HostUnreachable,
    PromptTooLong,
)

if TYPE_CHECKING:
    import httpx

Json = Mapping[str, Any]

ADVICE = {
    401: "the token does not fit this host: set it, or start the host again with: backtrail host",
    403: "the token may not do this on that host",
    429: "the host is busy: try again in a moment",
    503: "the host is still loading its model: try again in a moment",
}
MAX_ERROR_CHARS = 300
GET_S = 10.0
"""What a server says of itself it says at once; a person should not wait long for one that does not."""
TOO_LONG = re.compile(r"context_length_exceeded|exceed_context_size|maximum context length|context window")
"""How servers say it: OpenAI, llama-cpp-python and we by the code, llama.cpp by the type, vLLM in words."""


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_allowed(url: str, allowed_hosts: Sequence[str]) -> SplitResult:
    """The parts of `url`. Raises HostNotAllowed unless its host is loopback or listed (host or host:port)."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in ("http", "https") or not host:
        raise HostNotAllowed(
            f"{url!r} is no http(s) address", "set base_url to something like http://127.0.0.1:8080/v1"
        )
    allowed = {entry.lower() for entry in allowed_hosts}
    if is_loopback(host) or host in allowed or f"{host}:{parts.port}" in allowed:
        return parts
    raise HostNotAllowed(f"{host} is not this machine and is not in allowed_hosts; nothing was sent to it")


class Transport:
    """`base_url` is the part before `/chat/completions`; `/v1` is added when it has no path."""

    def __init__(self, base_url: str, token: str, allowed_hosts: Sequence[str], timeout_s: float) -> None:
        parts = check_allowed(base_url, allowed_hosts)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.base = self.origin + (parts.path.rstrip("/") or "/v1")
        self._token = token
        self._timeout_s = timeout_s
        self._http: httpx.AsyncClient | None = None

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            import httpx

            self._http = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {self._token}"} if self._token else {},
                timeout=httpx.Timeout(self._timeout_s, connect=5.0),
                follow_redirects=False,
                trust_env=False,
                verify=_certificates() if self.origin.startswith("https") else False,
            )
        return self._http

    async def aclose(self) -> None:
        if self._http is not None:
            client, self._http = self._http, None
            await client.aclose()

    async def get(self, url: str) -> Any:
        """The JSON at an absolute `url`. Raises HostError."""
        import httpx

        try:
            answer = await self._client().get(url, timeout=min(self._timeout_s, GET_S))
        except httpx.HTTPError as error:
            raise _unreachable(self.origin, error) from error
        if answer.status_code != 200:
            raise _refusal(answer.status_code, answer.headers, answer.text)
        return _parse(answer.text)

    async def stream(self, path: str, body: Json) -> AsyncGenerator[Json, None]:
        """POSTs and yields each event's object. Closing this iterator closes the connection, which
        is how the server learns that nobody waits any more. Raises HostError."""
        import httpx

        try:
            request = self._client().stream("POST", self.base + path, json=dict(body))
            async with request as answer:
                if answer.status_code != 200:
                    raise _refusal(answer.status_code, answer.headers, await _text(answer))
                async with aclosing(_events(answer)) as events:
                    async for event in events:
                        yield event
        except httpx.HTTPError as error:
            raise _unreachable(self.origin, error) from error


async def _events(answer: httpx.Response) -> AsyncGenerator[Json, None]:
    """The objects of an SSE answer; a server that ignores `stream` and sends one object is understood too."""
    if "text/event-stream" not in answer.headers.get("content-type", ""):
        yield _object(await _text(answer))
        return
    decoder = sse.Decoder()
    try:
        async for chunk in answer.aiter_bytes():
            for data in decoder.feed(chunk):
                if data.strip() == "[DONE]":
                    return
                yield _object(data)
    except sse.TooLong as error:
        raise HostConfused(f"the host sent an endless event: {error}") from error
    for data in decoder.finish():
        if data.strip() != "[DONE]":
            yield _object(data)


async def _text(answer: httpx.Response) -> str:
    """The body as text, up to a limit: an error page may be of any size."""
    parts: list[bytes] = []
    async for chunk in answer.aiter_bytes():
        parts.append(chunk)
        if sum(map(len, parts)) > sse.MAX_EVENT_CHARS:
            raise HostConfused("the host sent more than an answer can be")
    return b"".join(parts).decode("utf-8", "replace")


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise HostConfused(f"the host sent something that is not JSON: {_short(text)!r}") from error


def _object(text: str) -> Json:
    event = _parse(text)
    if not isinstance(event, dict):
        raise HostConfused(f"the host sent {_short(text)!r} where an object belongs")
    if event.get("error"):
        raise HostRefused(200, f"the host gave up: {_message(event)}")
    return event


def _refusal(status: int, headers: Mapping[str, str], text: str) -> HostRefused | HostConfused:
    if 300 <= status < 400:
        to = headers.get("location", "nowhere")
        return HostConfused(
            f"the host redirects to {to}; redirects are not followed, so nothing was sent there"
        )
    param = None
    try:
        body = json.loads(text)
        message = _message(body)
        param = _param(body)
    except ValueError:
        message = _short(text)
    retry = headers.get("retry-after", "")
    seconds = float(retry) if retry.replace(".", "", 1).isdigit() else None
    said = f"the host refused ({status}): {message}"
    if TOO_LONG.search(text):
        return PromptTooLong(status, said)
    return HostRefused(status, said, ADVICE.get(status, ""), retry_after_s=seconds, param=param)


def _param(body: Any) -> str | None:
    error = body.get("error") if isinstance(body, dict) else None
    param = error.get("param") if isinstance(error, dict) else None
    return param if isinstance(param, str) and param else None


def _message(body: Any) -> str:
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    return _short(str(error))


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= MAX_ERROR_CHARS else plain[: MAX_ERROR_CHARS - 1] + "…"


def _unreachable(origin: str, error: Exception) -> HostUnreachable:
    return HostUnreachable(
        f"no model host answers at {origin} ({type(error).__name__}: {error})".replace(": )", ")")
    )


def _certificates() -> Any:
    """The system's certificates, so that a company's own authority is trusted; SSL_CERT_FILE works too."""
    import ssl

    return ssl.create_default_context()
