"""Triples → tokens: the question as a chat, the answer as what the model is to write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from attrs import field, frozen

from backtrail_model.tune.triples import Triple

IGNORED = -100
"""The label of a token that is not learnt: PyTorch's cross entropy leaves it out."""


@frozen
class Example:
    """`labels` are the ids of the answer, and IGNORED for those of the question."""

    id: str
    ids: list[int] = field(repr=False)
    labels: list[int] = field(repr=False)


def examples(triples: Iterable[Triple], tokenizer: Any, longest: int) -> list[Example]:
    """Those of at most `longest` tokens; longer ones are left out, since half an answer teaches nothing."""
    made = (_example(triple, tokenizer) for triple in triples)
    return [one for one in made if len(one.ids) <= longest]


def split(triples: Sequence[Triple], hold_out: float, seed: int) -> tuple[list[Triple], list[Triple]]:
    """(to learn from, to measure with), at random under `seed`. At least one of each, given two or more."""
    order = list(triples)
    Random(seed).shuffle(order)  # noqa: S311 - no secret
    held = min(len(order) - 1, max(1, round(hold_out * len(order)))) if hold_out > 0 else 0
    return order[held:], order[:held]


def _example(triple: Triple, tokenizer: Any) -> Example:
    question = tokenizer.apply_chat_template(triple.messages, add_generation_prompt=True, tokenize=False)
    asked = tokenizer(question, add_special_tokens=False)["input_ids"]
    answer = tokenizer(triple.answer, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    return Example(triple.id, asked + answer, [IGNORED] * len(asked) + answer)
