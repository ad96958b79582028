"""A model's tokenizer without transformers, which needs seconds to import.

The vocabulary and the rules are in tokenizer.json, the chat template in chat_template.jinja; the first is
read by the `tokenizers` library, the second is run by jinja in its sandbox, since it came from a hub.
The methods are those of transformers' tokenizers that the host uses.
"""

from __future__ import annotations

import json
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer


class FastTokenizer:
    """tokenizer.json and a chat template."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._lock = threading.Lock()
        options = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        template = folder / "chat_template.jinja"
        text = (
            template.read_text(encoding="utf-8") if template.is_file() else options.get("chat_template") or ""
        )
        self._template = _environment().from_string(text) if isinstance(text, str) and text else None
        names = ("bos_token", "eos_token", "pad_token", "unk_token")
        self._special = {name: _content(options[name]) for name in names if options.get(name)}

    def get_vocab(self) -> dict[str, int]:
        """Every token's text, as it stands in the vocabulary, and its id."""
        return dict(self._tokenizer.get_vocab(with_added_tokens=True))

    def __call__(
        self, text: str, add_special_tokens: bool = True, split_special_tokens: bool = False
    ) -> dict[str, list[int]]:
        """{"input_ids": …}; with `split_special_tokens`, special tokens in the text are plain text."""
        with self._lock:  # the option is the tokenizer's, and requests come from several threads
            self._tokenizer.encode_special_tokens = split_special_tokens
            encoded = self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
        return {"input_ids": list(encoded.ids)}

    def decode(
        self, ids: list[int], skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool = False
    ) -> str:
        """The text of tokens, as it stands; `clean_up_tokenization_spaces` must be false."""
        if clean_up_tokenization_spaces:
            raise ValueError("the host never tidies up text")
        return str(self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens))

    def apply_chat_template(
        self, messages: list[dict[str, str]], add_generation_prompt: bool = True, tokenize: bool = False
    ) -> str:
        """The conversation as the model was trained to read it. Raises ValueError if that is not known."""
        if tokenize:
            raise ValueError("tokens are made of the text afterwards")
        if self._template is None:
            raise ValueError("this model has no chat template")
        return self._template.render(
            messages=messages, add_generation_prompt=add_generation_prompt, tools=None, **self._special
        )


def _content(token: str | dict[str, Any]) -> str:
    return token if isinstance(token, str) else str(token["content"])


def _environment() -> ImmutableSandboxedEnvironment:
    """Jinja with what chat templates expect to find, as transformers sets it up."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda pattern: datetime.now().strftime(pattern)
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _refuse(message: str) -> None:
    raise TemplateError(message)
