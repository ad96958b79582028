"""The ASGI program: OpenAI's paths in front of an engine. It unpacks, calls and answers, no more."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from attrs import frozen
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from backtrail_model.host import metrics, wire
from backtrail_model.host.answers import Answer, Choice, usage
from backtrail_model.host.engine import Busy, Engine
from backtrail_model.host.generate import Task
from backtrail_model.host.jobs import Done, Job, Piece, Priority
from backtrail_model.host.sampling import Sampling
from backtrail_model.host.wire import BadRequest

MAX_BODY = 4 << 20
"""Bytes of a request's body; the longest context takes far less."""

Event = Piece | Done


@frozen
class Served:
    """What the host says of itself."""

    model: str
    also: frozenset[str]
    device: str
    dtype: str
    reason: str
    context: int
    version: str


class Host:
    """The handlers; one object for each running host."""

    def __init__(self, engine: Engine, served: Served, token: str) -> None:
        self.engine, self.served, self._token = engine, served, token.encode()
        lane, self._registry = engine.lane, engine.record.registry
        self._registry.register(
            metrics.Figures(engine.record, lane.counters, lambda: engine.queued, lambda: lane.prefixes.nbytes)
        )

    def app(self) -> Starlette:
        guarded = self._guarded
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/metrics", guarded(self.metrics)),
                Route("/v1/models", guarded(self.models)),
                Route("/v1/chat/completions", guarded(self.chat), methods=["POST"]),
                Route("/v1/completions", guarded(self.text), methods=["POST"]),
            ],
            exception_handlers={BadRequest: _bad, Busy: _busy, HTTPException: _elsewhere},
        )

    def _guarded(
        self, handler: Callable[[HttpRequest], Awaitable[Response]]
    ) -> Callable[[HttpRequest], Awaitable[Response]]:
        """The handler, for those who know the token."""

        async def checked(request: HttpRequest) -> Response:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            # compare_digest takes the same time wherever the first difference is.
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
                message = "this host needs its bearer token: see the host file, or BACKTRAIL_TOKEN"
                raise BadRequest(message, status=401, code="invalid_api_key")
            return await handler(request)

        return checked

    async def health(self, request: HttpRequest) -> Response:
        return JSONResponse(
            {
                "status": "ok",
                "model": self.served.model,
                "device": self.served.device,
                "dtype": self.served.dtype,
                "reason": self.served.reason,
                "context": self.served.context,
                "fill_in_the_middle": self.engine.prompts.fim is not None,
                "queue": self.engine.queued,
                "version": self.served.version,
            }
        )

    async def models(self, request: HttpRequest) -> Response:
        model = {"id": self.served.model, "object": "model", "created": 0, "owned_by": "backtrail"}
        return JSONResponse({"object": "list", "data": [model]})

    async def metrics(self, request: HttpRequest) -> Response:
        return Response(metrics.text(self._registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def chat(self, request: HttpRequest) -> Response:
        return await self._complete(request, "chat")

    async def text(self, request: HttpRequest) -> Response:
        return await self._complete(request, "text")

    async def _complete(self, request: HttpRequest, kind: wire.Kind) -> Response:
        asked = wire.parse(await _body(request), kind)
        self._check_model(asked.model)
        task = await asyncio.to_thread(self._task, asked)
        inbox: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def sink(event: Event) -> None:
            # A loop that is closed has nobody left to tell: the server is ending.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(inbox.put_nowait, event)

        job = self.engine.submit(
            task,
            asked.stop,
            _priority(asked, request),
            sink,
            client=_client(request),
            deadline=_deadline(request),
        )
        answer = Answer.to(asked, self.served.model)
        if asked.stream:
            stream = _stream(job, inbox, answer, asked)
            return StreamingResponse(
                stream, media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
            )
        return await _whole(request, job, inbox, answer)

    def _check_model(self, name: str) -> None:
        if name not in ("", "auto", "default", self.served.model) and name not in self.served.also:
            message = f"this host serves {self.served.model!r}, not {name!r}"
            raise BadRequest(message, "model", status=404, code="model_not_found")

    def _task(self, asked: wire.Request) -> Task:
        ids = self._ids(asked)
        room = self.served.context - len(ids)
        if not ids:
            raise BadRequest("the prompt is empty", "prompt")
        if room < 1 or (asked.max_tokens or 1) > room:
            wanted = asked.max_tokens or wire.DEFAULT_TOKENS
            message = (
                f"the prompt has {len(ids)} tokens and max_tokens is {wanted},"
                f" but the context holds {self.served.context}; shorten one of them"
            )
            raise BadRequest(message, code="context_length_exceeded")
        seed = secrets.randbits(62) if asked.seed is None else asked.seed
        return Task(
            ids=ids,
            max_tokens=asked.max_tokens or min(wire.DEFAULT_TOKENS, room),
            samples=asked.n,
            sampling=Sampling(asked.temperature, asked.top_p, seed),
            stop_ids=self.engine.prompts.ends,
            logprobs=asked.logprobs,
        )

    def _ids(self, asked: wire.Request) -> list[int]:
        prompts = self.engine.prompts
        if asked.kind == "chat":
            return prompts.chat([dict(message) for message in asked.messages])
        if asked.suffix is None:
            return prompts.plain(asked.prompt)
        try:
            return prompts.infill(asked.prompt, asked.suffix)
        except ValueError as error:
            raise BadRequest(str(error), "suffix") from error


def _priority(asked: wire.Request, request: HttpRequest) -> Priority:
    header = request.headers.get("x-backtrail-priority", asked.priority)
    return Priority.PREFETCH if header == "prefetch" else Priority.PERSON


def _client(request: HttpRequest) -> str:
    """Who asks, for fairness: what it calls itself, else its address."""
    address = request.client.host if request.client else ""
    return request.headers.get("x-backtrail-client", address)[:64]


def _deadline(request: HttpRequest) -> float | None:
    """When the answer is of no use any more, on the clock of time.monotonic."""
    text = request.headers.get("x-backtrail-deadline")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise BadRequest("the header X-Backtrail-Deadline must be a number of seconds")
    return time.monotonic() + seconds


async def _body(request: HttpRequest) -> Any:
    """The JSON body, read no further than the limit."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise BadRequest(f"the body is larger than {MAX_BODY} bytes", status=413)
    try:
        return json.loads(data)
    except (ValueError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not JSON in UTF-8: {error}") from error


async def _stream(
    job: Job, inbox: asyncio.Queue[Event], answer: Answer, asked: wire.Request
) -> AsyncIterator[bytes]:
    """Server-sent events. When the client goes, the stream is closed and the job cancelled."""
    try:
        for index in range(asked.n):
            if (opening := answer.opening(index)) is not None:
                yield _event(opening)
        while not isinstance(event := await inbox.get(), Done):
            for body in answer.piece(event):
                yield _event(body)
        if event.error:
            yield _event(_failure(event).body())
        elif asked.include_usage:
            yield _event(answer.usage(usage(event.prompt_tokens, event.output_tokens, event.reused_tokens)))
        yield b"data: [DONE]\n\n"
    finally:
        job.cancelled.set()


def _event(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


async def _whole(request: HttpRequest, job: Job, inbox: asyncio.Queue[Event], answer: Answer) -> Response:
    """The whole answer at once; a client that goes cancels the job."""
    gone = asyncio.create_task(_disconnected(request, job))
    choices = [Choice() for _ in range(job.task.samples)]
    try:
        while not isinstance(event := await inbox.get(), Done):
            choice = choices[event.sample]
            choice.text += event.text
            choice.scores += event.scores
            choice.finish = event.finish or choice.finish
    finally:
        job.cancelled.set()
        gone.cancel()
    if event.error:
        raise _failure(event)
    counts = usage(event.prompt_tokens, event.output_tokens, event.reused_tokens)
    return JSONResponse(answer.whole(choices, counts))


def _failure(done: Done) -> BadRequest:
    """The error of a request that broke off."""
    code = "deadline_exceeded" if done.late else None
    return BadRequest(done.error or "", status=504 if done.late else 500, code=code)


async def _disconnected(request: HttpRequest, job: Job) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    job.cancelled.set()


async def _bad(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, BadRequest)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return JSONResponse(error.body(), status_code=error.status, headers=headers)


async def _elsewhere(request: HttpRequest, error: Exception) -> Response:
    """A path or a method that is not served, told in the shape that clients read."""
    assert isinstance(error, HTTPException)
    known = "POST /v1/chat/completions, POST /v1/completions, GET /v1/models, /health and /metrics"
    message = f"{request.method} {request.url.path} is not served; there are {known}"
    body = BadRequest(message, status=error.status_code).body()
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


async def _busy(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, Busy)
    body = BadRequest(str(error), status=429, code="rate_limit_exceeded").body()
    return JSONResponse(body, status_code=429, headers={"Retry-After": str(error.seconds)})
