"""Answers and stream events in OpenAI's shapes, as plain dictionaries."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from attrs import define, field, frozen

from backtrail_model.host.jobs import Piece, Scored
from backtrail_model.host.text import BROKEN
from backtrail_model.host.wire import Kind, Request


@define
class Choice:
    """One sample of a whole answer, as its pieces come in."""

    text: str = ""
    finish: str = "length"
    scores: list[Scored] = field(factory=list)


@frozen
class Answer:
    """Makes the bodies of one answer, which share their id, time and model.

    `top` is the request's `logprobs`.
    """

    kind: Kind
    model: str
    id: str
    created: int
    top: int | None

    @classmethod
    def to(cls, request: Request, model: str) -> Answer:
        prefix = "chatcmpl" if request.kind == "chat" else "cmpl"
        return cls(
            request.kind, model, f"{prefix}-{secrets.token_hex(12)}", int(time.time()), request.logprobs
        )

    def _body(self, object_: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        head = {"id": self.id, "object": object_, "created": self.created, "model": self.model}
        return {**head, "choices": choices}

    def whole(self, choices: Sequence[Choice], usage: dict[str, Any]) -> dict[str, Any]:
        """The answer of a request that does not stream."""
        bodies = [self._choice(index, choice) for index, choice in enumerate(choices)]
        object_ = "chat.completion" if self.kind == "chat" else "text_completion"
        return {**self._body(object_, bodies), "usage": usage}

    def _choice(self, index: int, choice: Choice) -> dict[str, Any]:
        body = {"index": index, "logprobs": self._logprobs(choice.scores), "finish_reason": choice.finish}
        if self.kind == "text":
            return {**body, "text": choice.text}
        return {**body, "message": {"role": "assistant", "content": choice.text, "refusal": None}}

    def opening(self, index: int) -> dict[str, Any] | None:
        """The first event of a sample: chat names the role, text has none."""
        if self.kind == "text":
            return None
        return self._chat_event(index, {"role": "assistant", "content": ""})

    def piece(self, piece: Piece) -> list[dict[str, Any]]:
        """The events of new text, and of the end."""
        scores, finish = self._logprobs(piece.scores), piece.finish
        if self.kind == "text":
            choice = {"index": piece.sample, "text": piece.text, "logprobs": scores, "finish_reason": finish}
            return [self._body("text_completion", [choice])]
        events = []
        if piece.text or piece.scores:
            events.append(self._chat_event(piece.sample, {"content": piece.text}, scores))
        if finish:
            events.append(self._chat_event(piece.sample, {}, None, finish))
        return events

    def usage(self, usage: dict[str, Any]) -> dict[str, Any]:
        """The last event, when asked for: no choices, the counts."""
        object_ = "chat.completion.chunk" if self.kind == "chat" else "text_completion"
        return {**self._body(object_, []), "usage": usage}

    def _chat_event(
        self,
        index: int,
        delta: dict[str, Any],
        scores: dict[str, Any] | None = None,
        finish: str | None = None,
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": scores, "finish_reason": finish}
        return self._body("chat.completion.chunk", [choice])

    def _logprobs(self, scores: Sequence[Scored]) -> dict[str, Any] | None:
        if self.top is None:
            return None
        return _chat_logprobs(scores) if self.kind == "chat" else _text_logprobs(scores)


def _chat_logprobs(scores: Sequence[Scored]) -> dict[str, Any]:
    def entry(text: str, logprob: float) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": _bytes(text)}

    content = [
        {
            **entry(scored.text, scored.logprob),
            "top_logprobs": [entry(text, logprob) for text, logprob in scored.top],
        }
        for scored in scores
    ]
    return {"content": content, "refusal": None}


def _text_logprobs(scores: Sequence[Scored]) -> dict[str, Any]:
    """The older shape: lists side by side. Offsets count from the beginning of the completion."""
    return {
        "tokens": [scored.text for scored in scores],
        "token_logprobs": [scored.logprob for scored in scores],
        "top_logprobs": [dict(scored.top) for scored in scores],
        "text_offset": [scored.offset for scored in scores],
    }


def _bytes(text: str) -> list[int] | None:
    """The bytes of a token; None if it is only a part of a character, whose bytes the text does not tell."""
    return None if BROKEN in text else list(text.encode())


def usage(prompt: int, output: int, reused: int) -> dict[str, Any]:
    """Token counts in OpenAI's shape."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": reused},
    }
