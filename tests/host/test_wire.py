"""Requests are checked field by field; nothing is silently ignored."""

from __future__ import annotations

from typing import Any

import pytest

from backtrail_model.host.wire import BadRequest, Request, parse

HELLO = [{"role": "user", "content": "hello"}]


def refused(body: Any, kind: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse(body, kind)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hello"]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": None}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_completion_tokens": True}, "max_completion_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"seed": 1.5}, "seed"),
        ({"stop": [""]}, "stop"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"stop": [1]}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"more": True}}, "stream_options"),
        ({"priority": "boss"}, "priority"),
        ({"logprobs": 3}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"prompt": "x"}, "prompt"),
        ({"top_k": 5}, "top_k"),
        ({"temprature": 0}, "temprature"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str) -> None:
    error = refused({"messages": HELLO, **fields}, "chat")
    assert (error.status, error.param) == (400, param)
    assert param in str(error)


def test_what_asks_for_nothing_is_taken() -> None:
    neutral = {
        "user": "me",
        "presence_penalty": 0,
        "logprobs": False,
        "tools": [],
        "response_format": {"type": "text"},
    }
    assert parse({"messages": HELLO, **neutral}, "chat") == parse({"messages": HELLO}, "chat")


def test_a_text_request() -> None:
    body = {
        "prompt": "a",
        "suffix": "b",
        "max_tokens": 3,
        "n": 2,
        "stop": "x",
        "seed": -1,
        "stream": True,
        "stream_options": {"include_usage": True},
        "priority": "prefetch",
    }
    assert parse(body, "text") == Request(
        kind="text",
        model="",
        prompt="a",
        suffix="b",
        max_tokens=3,
        n=2,
        stop=("x",),
        seed=-1,
        stream=True,
        include_usage=True,
        priority="prefetch",
    )


def test_text_parts_are_joined_and_developer_is_system() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    request = parse({"messages": [{"role": "developer", "content": parts}]}, "chat")
    assert request.messages == ({"role": "system", "content": "ab"},)


def test_the_newer_name_of_the_limit_wins() -> None:
    assert parse({"messages": HELLO, "max_tokens": 5, "max_completion_tokens": 7}, "chat").max_tokens == 7


def test_an_empty_suffix_is_a_hole_at_the_end() -> None:
    assert parse({"prompt": "a", "suffix": ""}, "text").suffix == ""
    assert parse({"prompt": "a", "suffix": None}, "text").suffix is None
