"""A model client that counts tokens: the server's own counts where it gives them, else an estimate."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from attrs import define, frozen

from backtrail_model.client import HostRefused, ModelClient
from backtrail_model.evidence.tokens import estimate, of_length
from backtrail_model.transport import Json, Transport

USAGE = {"stream_options": {"include_usage": True}}


@frozen
class Tokens:
    """Tokens that were read and written; `exact` when the server counted every request."""

    prompt: int = 0
    output: int = 0
    requests: int = 0
    exact: bool = True

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.prompt + other.prompt,
            self.output + other.output,
            self.requests + other.requests,
            self.exact and other.exact,
        )


@define
class Meter:
    """What was spent since it was last taken."""

    spent: Tokens = Tokens()

    def add(self, tokens: Tokens) -> None:
        self.spent += tokens

    def take(self) -> Tokens:
        """What was spent, which is then forgotten."""
        spent, self.spent = self.spent, Tokens()
        return spent


class MeteredClient(ModelClient):
    """A client as any other; `meter` knows what its requests cost."""

    def __init__(
        self, base_url: str, token: str = "", *, model: str | None = None, allowed_hosts: Sequence[str] = ()
    ) -> None:
        super().__init__(base_url, token, model=model, allowed_hosts=allowed_hosts, timeout_s=600.0)
        self.meter = Meter()
        self._transport = _MeteredTransport(self.meter, base_url, token, allowed_hosts)


class _MeteredTransport(Transport):
    def __init__(self, meter: Meter, base_url: str, token: str, allowed_hosts: Sequence[str]) -> None:
        super().__init__(base_url, token, allowed_hosts, 600.0)
        self._meter = meter
        self._asks_usage = True

    async def stream(self, path: str, body: Json) -> AsyncGenerator[Json, None]:
        """As without a meter. A server that does not know `stream_options` is asked again without it."""
        counted = _Counted()
        try:
            async with aclosing(self._events(path, body)) as events:
                async for event in events:
                    counted.see(event)
                    yield event
        finally:
            self._meter.add(counted.tokens(body))

    async def _events(self, path: str, body: Json) -> AsyncGenerator[Json, None]:
        if self._asks_usage:
            try:
                async with aclosing(super().stream(path, {**body, **USAGE})) as events:
                    async for event in events:
                        yield event
                return
            except HostRefused as refused:
                if refused.status not in (400, 422) or "stream_options" not in f"{refused.param} {refused}":
                    raise
                self._asks_usage = False
        async with aclosing(super().stream(path, body)) as events:
            async for event in events:
                yield event


@define
class _Counted:
    """One request. A stream that was closed early has no count of the server's."""

    usage: Any = None
    written: int = 0  # characters

    def see(self, event: Json) -> None:
        self.usage = event.get("usage") or self.usage
        for choice in event.get("choices") or ():
            if isinstance(choice, dict):
                said = choice.get("delta") or choice.get("message") or {}
                self.written += len(choice.get("text") or said.get("content") or "")

    def tokens(self, body: Json) -> Tokens:
        if isinstance(self.usage, dict):
            prompt, output = self.usage.get("prompt_tokens"), self.usage.get("completion_tokens")
            if isinstance(prompt, int) and isinstance(output, int):
                return Tokens(prompt, output, 1)
        return Tokens(estimate(_asked(body)), of_length(self.written), 1, exact=False)


def _asked(body: Json) -> str:
    messages = body.get("messages") or ()
    said = "\n".join(str(message.get("content", "")) for message in messages)
    return f"{said}{body.get('prompt', '')}{body.get('suffix', '')}"
