"""The OpenAI wire: requests checked field by field, answers and stream events as plain dictionaries."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen

MAX_SAMPLES = 32
MAX_STOPS = 16
DEFAULT_TOKENS = 512

Kind = Literal["chat", "text"]


class BadRequest(Exception):
    """A request that cannot be served; `param` names the field, `status` is the HTTP status."""

    def __init__(
        self, message: str, param: str | None = None, status: int = 400, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.param, self.status, self.code = param, status, code

    def body(self) -> dict[str, Any]:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


@frozen
class Request:
    """A completion that is asked for, checked. Chat has `messages`; text has `prompt` and maybe `suffix`."""

    kind: Kind
    model: str
    messages: tuple[Mapping[str, str], ...] = ()
    prompt: str = ""
    suffix: str | None = None
    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    n: int = 1
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = False
    priority: Literal["person", "prefetch"] = "person"


HARMLESS = frozenset({"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"})
"""Fields that change nothing in an answer here, so they may be there."""

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "presence_penalty": (0, None),
    "frequency_penalty": (0, None),
    "logit_bias": ({}, None),
    "logprobs": (False, None),
    "top_logprobs": (0, None),
    "echo": (False, None),
    "best_of": (1, None),
    "response_format": ({"type": "text"}, None),
    "tools": ([], None),
    "parallel_tool_calls": (True, False, None),
    "tool_choice": ("none", "auto", None),
    "reasoning_effort": (None,),
    "modalities": (["text"], None),
}
"""Fields that are not supported, with the values that ask for nothing and so are taken."""

COMMON = frozenset(
    {
        "model",
        "max_tokens",
        "temperature",
        "top_p",
        "n",
        "seed",
        "stop",
        "stream",
        "stream_options",
        "priority",
    }
)
OWN: Mapping[Kind, frozenset[str]] = {
    "chat": COMMON | {"messages", "max_completion_tokens"},
    "text": COMMON | {"prompt", "suffix"},
}


def parse(body: Any, kind: Kind) -> Request:
    """A checked request from a JSON body. Raises BadRequest naming the field that is wrong."""
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    _refuse_unsupported(body, kind)
    take = _Fields(body)
    most = take.whole("max_completion_tokens", 1, 1 << 20) if kind == "chat" else None
    return Request(
        kind=kind,
        model=take.text("model", ""),
        messages=_messages(body) if kind == "chat" else (),
        prompt=take.text("prompt") if kind == "text" else "",
        suffix=body.get("suffix") and take.text("suffix") if kind == "text" else None,
        max_tokens=most or take.whole("max_tokens", 1, 1 << 20),
        temperature=take.real("temperature", 0.0, 2.0, 1.0),
        top_p=take.real("top_p", 0.0, 1.0, 1.0),
        n=take.whole("n", 1, MAX_SAMPLES) or 1,
        seed=take.whole("seed", -(1 << 63), (1 << 63) - 1),
        stop=_stops(body.get("stop")),
        stream=take.flag("stream"),
        include_usage=_include_usage(body),
        priority=_priority(body.get("priority")),
    )


def _refuse_unsupported(body: Mapping[str, Any], kind: Kind) -> None:
    for name, value in body.items():
        if name in OWN[kind] or name in HARMLESS:
            continue
        if name in NEUTRAL:
            if value not in NEUTRAL[name]:
                raise BadRequest(f"{name!r} is not supported by this host; leave it out", name)
        else:
            raise BadRequest(f"unknown field {name!r}; leave it out", name, code="unknown_parameter")


class _Fields:
    """Takes values out of a body, checking type and range."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body

    def text(self, name: str, default: str | None = None) -> str:
        value = self._body.get(name)
        value = default if value is None else value
        if not isinstance(value, str):
            raise BadRequest(f"{name!r} must be a string", name)
        return value

    def whole(self, name: str, low: int, high: int) -> int | None:
        value = self._body.get(name)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high
        ):
            raise BadRequest(f"{name!r} must be a whole number from {low} to {high}", name)
        return value

    def real(self, name: str, low: float, high: float, default: float) -> float:
        value = self._body.get(name)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise BadRequest(f"{name!r} must be a number from {low} to {high}", name)
        return float(value)

    def flag(self, name: str) -> bool:
        value = self._body.get(name)
        if value is not None and not isinstance(value, bool):
            raise BadRequest(f"{name!r} must be true or false", name)
        return bool(value)


def _messages(body: Mapping[str, Any]) -> tuple[Mapping[str, str], ...]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be a list with at least one message", "messages")
    return tuple(_message(message, place) for place, message in enumerate(messages))


def _message(message: Any, place: int) -> Mapping[str, str]:
    where = f"messages[{place}]"
    if not isinstance(message, dict):
        raise BadRequest(f"{where} must be an object with 'role' and 'content'", "messages")
    role, content = message.get("role"), message.get("content")
    if role == "developer":
        role = "system"
    if role not in ("system", "user", "assistant"):
        raise BadRequest(f"{where}.role must be system, user or assistant", "messages")
    return {"role": role, "content": _content(content, where)}


def _content(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise BadRequest(f"{where}.content must be a string or a list of text parts", "messages")
    return "".join(map(str, texts))


def _stops(value: Any) -> tuple[str, ...]:
    stops = [] if value is None else [value] if isinstance(value, str) else value
    if (
        not isinstance(stops, list)
        or len(stops) > MAX_STOPS
        or not all(isinstance(s, str) and s for s in stops)
    ):
        raise BadRequest(
            f"'stop' must be a string or a list of at most {MAX_STOPS} strings, none empty", "stop"
        )
    return tuple(stops)


def _include_usage(body: Mapping[str, Any]) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict) or not body.get("stream"):
        raise BadRequest("'stream_options' must be an object, and needs 'stream': true", "stream_options")
    if unknown := set(options) - {"include_usage", "include_obfuscation"}:
        raise BadRequest(f"unknown field {min(unknown)!r} in 'stream_options'", "stream_options")
    return bool(options.get("include_usage"))


def _priority(value: Any) -> Literal["person", "prefetch"]:
    if value in (None, "person"):
        return "person"
    if value == "prefetch":
        return "prefetch"
    raise BadRequest("'priority' must be person or prefetch", "priority")


@frozen
class Answer:
    """Makes the bodies of one answer, which share their id, time and model."""

    kind: Kind
    model: str
    id: str
    created: int

    @classmethod
    def to(cls, request: Request, model: str) -> Answer:
        prefix = "chatcmpl" if request.kind == "chat" else "cmpl"
        return cls(request.kind, model, f"{prefix}-{secrets.token_hex(12)}", int(time.time()))

    def _body(self, object_: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        head = {"id": self.id, "object": object_, "created": self.created, "model": self.model}
        return {**head, "choices": choices}

    def whole(self, texts: list[str], finishes: list[str], usage: dict[str, Any]) -> dict[str, Any]:
        """The answer of a request that does not stream."""
        pairs = enumerate(zip(texts, finishes, strict=True))
        choices = [self._choice(index, text, finish) for index, (text, finish) in pairs]
        object_ = "chat.completion" if self.kind == "chat" else "text_completion"
        return {**self._body(object_, choices), "usage": usage}

    def _choice(self, index: int, text: str, finish: str) -> dict[str, Any]:
        if self.kind == "text":
            return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}
        message = {"role": "assistant", "content": text, "refusal": None}
        return {"index": index, "message": message, "logprobs": None, "finish_reason": finish}

    def opening(self, index: int) -> dict[str, Any] | None:
        """The first event of a sample: chat names the role, text has none."""
        if self.kind == "text":
            return None
        return self._event(index, {"role": "assistant", "content": ""}, None)

    def piece(self, index: int, text: str, finish: str | None) -> list[dict[str, Any]]:
        """The events of new text, and of the end."""
        if self.kind == "text":
            return [self._text_event(index, text, finish)]
        events = [self._event(index, {"content": text}, None)] if text else []
        return events + ([self._event(index, {}, finish)] if finish else [])

    def usage(self, usage: dict[str, Any]) -> dict[str, Any]:
        """The last event, when asked for: no choices, the counts."""
        object_ = "chat.completion.chunk" if self.kind == "chat" else "text_completion"
        return {**self._body(object_, []), "usage": usage}

    def _event(self, index: int, delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._body("chat.completion.chunk", [choice])

    def _text_event(self, index: int, text: str, finish: str | None) -> dict[str, Any]:
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish}
        return self._body("text_completion", [choice])


def usage(prompt: int, output: int, reused: int) -> dict[str, Any]:
    """Token counts in OpenAI's shape."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": reused},
    }
