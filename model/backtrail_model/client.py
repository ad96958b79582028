"""The OpenAI wire as a client: chat and completion streams, health, cancel by closing.

What a server cannot do (`n`, `suffix`, `seed`) is made up for here where that is possible, and the
reason is kept in `ModelClient.degraded`. Secrets are covered in whatever is sent (see `veil.py`).
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal

from attrs import evolve, frozen

from backtrail_model import fim
from backtrail_model.errors import (
    HostConfused,
    HostError,
    HostNotAllowed,
    HostRefused,
    HostUnreachable,
    NotSupported,
)
from backtrail_model.transport import Json, Transport
from backtrail_model.veil import Veil

__all__ = [
    "Completion",
    "Delta",
    "Health",
    "HostConfused",
    "HostError",
    "HostNotAllowed",
    "HostRefused",
    "HostUnreachable",
    "ModelClient",
    "NoHost",
    "NotSupported",
    "connect",
]

Priority = Literal["person", "prefetch"]
Message = Mapping[str, str]  # {"role": "user", "content": "…"}

OPTIONAL_FIELDS = ("suffix", "seed", "n", "priority")
"""What a server may refuse without our having to give up."""


@frozen
class Delta:
    """A piece of the answer number `index`; `finish` is set on its last one ("stop", "length")."""

    index: int
    text: str
    finish: str | None = None


@frozen
class Completion:
    """A finished answer."""

    index: int
    text: str
    finish: str | None


@frozen
class Health:
    """What the host says of itself."""

    ok: bool
    model: str
    detail: Mapping[str, Any]


@frozen
class NoHost:
    """Why there is no host to ask, and what to do about it."""

    reason: str
    advice: str


class ModelClient:
    """One model behind one address. Raises HostNotAllowed for an address that prompts may not go to.

    `timeout_s` is the longest silence that is put up with, not the length of an answer. A `transport` of
    the caller's own takes the place of the one that is made from the address.
    """

    def __init__(
        self,
        base_url: str,
        token: str = "",
        *,
        model: str | None = None,
        allowed_hosts: Sequence[str] = (),
        timeout_s: float = 120.0,
        transport: Transport | None = None,
    ) -> None:
        self._transport = transport or Transport(base_url, token, allowed_hosts, timeout_s)
        self.base_url = self._transport.base
        self._model = model
        self._lacks: dict[str, str] = {}

    async def __aenter__(self) -> ModelClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._transport.aclose()

    @property
    def degraded(self) -> tuple[str, ...]:
        """What the server could not do, and what is done instead."""
        return tuple(self._lacks.values())

    async def health(self) -> Health:
        """Raises HostError. A server without /health is well when it lists a model."""
        try:
            detail = await self._transport.get(self._transport.origin + "/health")
        except (HostRefused, HostConfused) as error:
            if isinstance(error, HostRefused) and error.status in (401, 403, 503):
                raise
            return Health(True, (await self.models())[0], {})
        fields = detail if isinstance(detail, dict) else {}
        status = fields.get("status", "ok")
        return Health(
            status in ("ok", "ready", "healthy"), str(fields.get("model", self._model or "")), fields
        )

    async def models(self) -> tuple[str, ...]:
        """The names that the server lists; at least one. Raises HostError."""
        body = await self._transport.get(self.base_url + "/models")
        rows = body.get("data") if isinstance(body, dict) else None
        names = [row["id"] for row in rows or () if isinstance(row, dict) and isinstance(row.get("id"), str)]
        if not names:
            raise HostConfused("the host lists no model")
        return tuple(names)

    async def model(self) -> str:
        """The name that requests are made with: the one that was set, or the server's first."""
        if self._model is None:
            self._model = (await self.models())[0]
        return self._model

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        n: int = 1,
        stop: Sequence[str] = (),
        seed: int | None = None,
        priority: Priority = "person",
    ) -> AsyncGenerator[Delta, None]:
        """Streams the answers, piece by piece; pieces of several answers may be mixed. Raises HostError."""
        body = _body(max_tokens, temperature, stop, seed, priority) | {
            "messages": [dict(m) for m in messages]
        }
        body = Veil().over_body(body)
        async with aclosing(self._deltas("/chat/completions", body, n)) as deltas:
            async for delta in deltas:
                yield delta

    async def chat_samples(
        self, messages: Sequence[Message], *, max_tokens: int, **options: Any
    ) -> AsyncGenerator[Completion, None]:
        """The answers to a chat, each as soon as it is finished. Options as for `chat`."""
        veil = Veil()
        covered = veil.over_body({"messages": list(messages)})["messages"]
        async with aclosing(_finished(self.chat(covered, max_tokens=max_tokens, **options))) as done:
            async for completion in done:
                yield evolve(completion, text=veil.lifted(completion.text))

    async def samples(
        self,
        prompt: str,
        *,
        suffix: str | None = None,
        max_tokens: int,
        temperature: float = 0.0,
        n: int = 1,
        stop: Sequence[str] = (),
        seed: int | None = None,
        priority: Priority = "person",
    ) -> AsyncGenerator[Completion, None]:
        """Completions of a prompt, or of the hole between `prompt` and `suffix`, each as soon as it is
        finished. Closing the iterator cancels the rest on the server. Raises HostError, and
        NotSupported when the hole can be filled neither by the server nor by tokens we know."""
        body = _body(max_tokens, temperature, stop, seed, priority) | {"prompt": prompt}
        if suffix is not None:
            body["suffix"] = suffix
        veil = Veil()
        body = veil.over_body(body)
        try:
            async with aclosing(_finished(self._deltas("/completions", body, n))) as done:
                async for completion in done:
                    yield evolve(completion, text=veil.lifted(completion.text))
        except HostRefused as error:
            if error.status in (404, 405):
                raise NotSupported("the server has no /completions", "use a server that has it") from error
            raise

    async def complete(self, prompt: str, *, max_tokens: int, **options: Any) -> list[Completion]:
        """All samples, in the order of their index. Options as for `samples`."""
        done = [one async for one in self.samples(prompt, max_tokens=max_tokens, **options)]
        return sorted(done, key=lambda one: one.index)

    async def _deltas(self, path: str, body: dict[str, Any], n: int) -> AsyncGenerator[Delta, None]:
        """The answers 0 … n-1, by as many requests as the server makes necessary."""
        done = 0
        seed = body.get("seed")
        while done < n:
            asked = 1 if "n" in self._lacks else n - done
            request = body | {"n": asked} | ({} if seed is None else {"seed": seed + done})
            seen: set[int] = set()
            async with aclosing(self._stream(path, request)) as events:
                async for event in events:
                    for delta in _choices(event):
                        seen.add(delta.index)
                        yield Delta(delta.index + done, delta.text, delta.finish)
            if len(seen) < asked:
                self._lacks.setdefault("n", "the server gives one answer a request, so several are made")
            done += max(1, len(seen))

    async def _stream(self, path: str, body: Json) -> AsyncGenerator[Json, None]:
        """One request, made again without a field that the server says it does not know."""
        while True:
            request = await self._fitting(body)
            try:
                async with aclosing(self._transport.stream(path, request)) as events:
                    async for event in events:
                        yield event
                return
            except HostRefused as refused:
                field = _blamed(refused, request)
                if field is None:
                    raise
                self._lacks[field] = _instead(field)

    async def _fitting(self, body: Json) -> dict[str, Any]:
        request = {key: value for key, value in body.items() if key not in self._lacks}
        request |= {"model": await self.model(), "stream": True}
        if "suffix" in body and "suffix" in self._lacks:
            known = fim.format_of(request["model"])
            if known is None:
                raise NotSupported(
                    "the server does not fill in the middle, and we do not know how to ask "
                    f"{request['model']} for it",
                    "use a server that knows `suffix`, or a Qwen2.5-Coder model",
                )
            request["prompt"] = known.prompt(body["prompt"], body["suffix"])
            # Servers allow four stop strings; the caller's own come first.
            request["stop"] = [*body.get("stop", ()), *known.stop][:4]
        return request


def connect(
    setting_url: str | None, token: str | None, allowed_hosts: Sequence[str] = (), *, model: str | None = None
) -> ModelClient | NoHost:
    """A client for the address in the settings, else for the host that runs on this machine.

    Nothing is sent yet: a host that has died since is met as HostUnreachable by the first request.
    """
    url = setting_url
    if not url:
        from backtrail_model import hostfile

        running = hostfile.read()
        if running is None:
            return NoHost("no model host is running on this machine", HostUnreachable.advice)
        url, token = running["url"], token or running.get("token")
    try:
        return ModelClient(url, token or "", model=model, allowed_hosts=allowed_hosts)
    except HostNotAllowed as error:
        return NoHost(str(error), error.advice)


def _body(
    max_tokens: int, temperature: float, stop: Sequence[str], seed: int | None, priority: str
) -> dict[str, Any]:
    body: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature, "priority": priority}
    if stop:
        body["stop"] = list(stop)
    if seed is not None:
        body["seed"] = seed
    return body


def _choices(event: Json) -> list[Delta]:
    """The pieces in one event, of a chat or a completion, streamed or whole. Raises HostConfused."""
    choices = event.get("choices")
    if not isinstance(choices, list):
        raise HostConfused(f"the host sent an object without choices: {sorted(event)[:5]}")
    return [_delta(choice) for choice in choices]


def _delta(choice: Any) -> Delta:
    try:
        message = choice.get("delta") or choice.get("message") or {}
        text = choice.get("text") or message.get("content") or ""
        finish = choice.get("finish_reason")
        index = choice.get("index", 0)
    except AttributeError as error:
        raise HostConfused("the host sent a choice that is no object") from error
    if not isinstance(text, str) or not isinstance(index, int):
        raise HostConfused("the host sent a choice without text or index")
    return Delta(index, text, finish if isinstance(finish, str) else None)


async def _finished(deltas: AsyncGenerator[Delta, None]) -> AsyncGenerator[Completion, None]:
    texts: dict[int, str] = {}
    async with aclosing(deltas):
        async for delta in deltas:
            texts[delta.index] = texts.get(delta.index, "") + delta.text
            if delta.finish is not None:
                yield Completion(delta.index, texts.pop(delta.index), delta.finish)
    for index, text in sorted(texts.items()):
        yield Completion(index, text, None)


def _blamed(refused: HostRefused, request: Json) -> str | None:
    """The optional field that the server's words blame, or None."""
    if refused.status not in (400, 422, 501):
        return None
    present = [field for field in OPTIONAL_FIELDS if field in request]
    if refused.param is not None:  # vLLM gives the way to it: "body.priority"
        named = refused.param.rpartition(".")[2]
        return named if named in present else None
    return next((field for field in present if re.search(rf"(?<!\w){field}(?!\w)", str(refused))), None)


def _instead(field: str) -> str:
    return {
        "n": "the server gives one answer a request, so several are made",
        "suffix": "the server does not fill in the middle, so the model's own tokens are used",
        "seed": "the server takes no seed, so answers are not repeatable",
        "priority": "the server knows no priorities",
    }[field]
