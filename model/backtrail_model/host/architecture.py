"""What config.json says about a model, as far as `decoder.py` needs it, and whether that is enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import frozen

KINDS = ("llama", "qwen2", "qwen3")
"""transformers' model types whose computation is the one in `decoder.py`."""


@frozen
class Architecture:
    """Sizes of a decoder of the Llama family. `context` in tokens; `eos_token_id` as transformers has it."""

    kind: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    eps: float
    rope_base: float
    tied: bool
    context: int
    eos_token_id: int | list[int] | None


def read(folder: Path) -> Architecture | str:
    """The architecture of a model's folder; a string says why `decoder.py` cannot compute it."""
    return parse(json.loads((folder / "config.json").read_text(encoding="utf-8")))


def parse(config: dict[str, Any]) -> Architecture | str:
    """The same from the contents of config.json."""
    if refusal := _refusal(config):
        return refusal
    heads = int(config["num_attention_heads"])
    rope = config.get("rope_parameters") or {}
    return Architecture(
        kind=config["model_type"],
        layers=int(config["num_hidden_layers"]),
        hidden=int(config["hidden_size"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_size=int(config.get("head_dim") or config["hidden_size"] // heads),
        eps=float(config["rms_norm_eps"]),
        rope_base=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
        tied=bool(config.get("tie_word_embeddings", False)),
        context=int(config["max_position_embeddings"]),
        eos_token_id=config.get("eos_token_id"),
    )


def _refusal(config: dict[str, Any]) -> str:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if config.get("model_type") not in KINDS:
        return f"the architecture {config.get('model_type')!r} is left to transformers"
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        return "scaled rotary positions are left to transformers"
    if config.get("hidden_act") != "silu" or config.get("use_sliding_window"):
        return "another activation or a sliding window is left to transformers"
    if config.get("mlp_bias") or float(config.get("partial_rotary_factor") or 1.0) != 1.0:
        return "biases in the feed-forward part and partial rotation are left to transformers"
    return ""
