"""The 1.5B model does what repair needs: it fills a hole, with several short samples."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.host.conftest import Running, serving

pytestmark = [pytest.mark.model, pytest.mark.big]


@pytest.fixture(scope="module")
def coder() -> Iterator[Running]:
    from backtrail_model import weights
    from backtrail_model.host.load import load

    yield from serving(load(weights.prepare("qwen2.5-coder-1.5b")), name="qwen2.5-coder-1.5b")


def test_a_hole_is_filled(coder: Running) -> None:
    body = {
        "prompt": "def add_all(values):\n    total = 0\n    for value in values:\n        ",
        "suffix": "\n    return total\n",
        "max_tokens": 16,
        "temperature": 0,
        "stop": ["\n"],
    }
    choice = coder.client.post("/v1/completions", json=body).json()["choices"][0]
    assert choice["text"].strip() in {"total += value", "total = total + value"}


def test_special_tokens_in_the_code_are_plain_text(coder: Running) -> None:
    prompts = coder.host.engine.prompts  # type: ignore[attr-defined]
    ids = prompts.infill("a = '<|fim_suffix|>'", "b = '<|im_end|>'")
    assert [ids.count(token) for token in (prompts.fim.prefix, prompts.fim.suffix, prompts.fim.middle)] == [
        1,
        1,
        1,
    ]


def test_holes_of_one_file_share_what_stands_before_them(coder: Running) -> None:
    code = (
        "def mean(values):\n"
        '    """The arithmetic mean of some numbers; an empty list has none, which is an error."""\n'
        "    count = len(values)\n    total = sum(values)\n    return total / count\n"
    )

    def hole(line: str) -> int:
        before, _, after = code.partition(line)
        body = {"prompt": before, "suffix": after, "max_tokens": 4, "temperature": 0}
        answer = coder.client.post("/v1/completions", json=body).json()
        return int(answer["usage"]["prompt_tokens_details"]["cached_tokens"])

    hole("total / count")
    assert hole("sum(values)") >= 15  # the lines above the upper hole


def test_samples_of_a_hole_share_its_prompt(coder: Running) -> None:
    before = coder.counter("forward_passes_total")
    body = {
        "prompt": "def is_even(n):\n    return ",
        "suffix": "\n",
        "n": 6,
        "max_tokens": 8,
        "temperature": 0.8,
    }
    choices = coder.client.post("/v1/completions", json={**body, "seed": 1}).json()["choices"]
    assert len(choices) == 6
    assert any("n % 2 == 0" in choice["text"] for choice in choices)
    assert coder.counter("forward_passes_total") - before <= 10
