"""The OpenAI wire: requests, checked field by field. What is answered is in answers.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen

MAX_SAMPLES = 32
MAX_STOPS = 16
MAX_LOGPROBS = 20
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
    logprobs: int | None = None
    """How many of the likeliest tokens to score at each place besides the one taken; None: no scores."""


HARMLESS = frozenset({"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"})
"""Fields that change nothing in an answer here, so they may be there."""

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "presence_penalty": (0, None),
    "frequency_penalty": (0, None),
    "logit_bias": ({}, None),
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
        "logprobs",
    }
)
OWN: Mapping[Kind, frozenset[str]] = {
    "chat": COMMON | {"messages", "max_completion_tokens", "top_logprobs"},
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
        logprobs=_chat_logprobs(take) if kind == "chat" else take.whole("logprobs", 0, MAX_LOGPROBS),
    )


def _chat_logprobs(take: _Fields) -> int | None:
    """Chat says whether by one field and how many by another."""
    asked, top = take.flag("logprobs"), take.whole("top_logprobs", 0, MAX_LOGPROBS)
    if top and not asked:
        raise BadRequest("'top_logprobs' needs 'logprobs': true", "top_logprobs")
    return (top or 0) if asked else None


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
        return _unicode(value, name)

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
        return _unicode(content, f"{where}.content")
    parts = content if isinstance(content, list) else [None]
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise BadRequest(f"{where}.content must be a string or a list of text parts", "messages")
    return _unicode("".join(map(str, texts)), f"{where}.content")


def _unicode(text: str, name: str) -> str:
    """The text, if it is one: JSON can spell half a surrogate pair, which no tokenizer reads."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"{name!r} is not valid UTF-8: half a surrogate pair at character {error.start}"
        raise BadRequest(message, name.partition("[")[0]) from error
    return text


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
