"""From a request's text to tokens: the model's own chat template, and its own fill-in-the-middle tokens."""

from __future__ import annotations

import re
from typing import Any

from attrs import frozen

PLACE = "\ue000{}\ue001"
"""Stands for a message's content while the template is rendered: characters of private use."""

FIM_FAMILIES = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen2.5-Coder and others after it
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek-Coder
)
ENDS = (
    "<|endoftext|>",
    "<|im_end|>",
    "<|fim_pad|>",
    "<|file_sep|>",
    "<|repo_name|>",
    "<file_sep>",
    "<|eot_id|>",
)
"""Tokens after which nothing that was asked for comes, whatever the configuration says."""


@frozen
class Fim:
    """The tokens around prefix, suffix and the hole, in the order prefix, suffix, middle."""

    prefix: int
    suffix: int
    middle: int


class Prompts:
    """Makes tokens of prompts for one model."""

    def __init__(self, tokenizer: Any, config: Any) -> None:
        self._tokenizer = tokenizer
        vocabulary = tokenizer.get_vocab()
        self.fim = _fim(vocabulary)
        ends = {vocabulary[text] for text in ENDS if text in vocabulary}
        own = config.eos_token_id
        ends |= set(own) if isinstance(own, list) else {own} if own is not None else set()
        if self.fim:
            ends |= {self.fim.prefix, self.fim.suffix, self.fim.middle}
        self.ends = frozenset(ends)

    def chat(self, messages: list[dict[str, str]]) -> list[int]:
        """Messages with role and content, and the opening of the assistant's answer.

        Special tokens are the template's alone: one that stands in a message, as code about language
        models has them, is plain text, so that no message can end itself and begin another.
        """
        if all(self.plain(message["content"]) == self._literal(message["content"]) for message in messages):
            return self.plain(self._rendered(messages))
        places = [{**message, "content": PLACE.format(at)} for at, message in enumerate(messages)]
        ids: list[int] = []
        for part in re.split(PLACE.format("([0-9]+)"), self._rendered(places)):
            # re.split gives the text around the places and, in between, their numbers.
            ids += self._literal(messages[int(part)]["content"]) if part.isdecimal() else self.plain(part)
        return ids

    def _rendered(self, messages: list[dict[str, str]]) -> str:
        text: str = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return text

    def plain(self, text: str) -> list[int]:
        """A text to go on from; special tokens written in it count as such."""
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def infill(self, prefix: str, suffix: str) -> list[int]:
        """A hole between two texts. Special tokens that happen to stand in the code are plain text here.

        Raises ValueError if the model was not trained to fill in the middle.
        """
        if self.fim is None:
            raise ValueError("this model has no fill-in-the-middle tokens, so it cannot take a suffix")
        before, after = self._literal(prefix), self._literal(suffix)
        return [self.fim.prefix, *before, self.fim.suffix, *after, self.fim.middle]

    def _literal(self, text: str) -> list[int]:
        tokens = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        return list(tokens["input_ids"])

    def token(self, token: int) -> str:
        """One token as text, special ones by their names; part of a character shows as U+FFFD."""
        return str(
            self._tokenizer.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        )

    def decode(self, ids: list[int]) -> str:
        """The text of tokens, as it stands: nothing is tidied up."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _fim(vocabulary: dict[str, int]) -> Fim | None:
    for family in FIM_FAMILIES:
        if all(token in vocabulary for token in family):
            return Fim(*(vocabulary[token] for token in family))
    return None
