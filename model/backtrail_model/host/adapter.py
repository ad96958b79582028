"""An adapter (LoRA, Hu et al. 2021) laid over a model: small matrices beside its linear layers.

Read from peft's own format, safetensors and a JSON file, without peft. The NF4 weights stay as they are:
each layer computes y = W x + scale * B A x.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from safetensors import safe_open

from backtrail_model.fetching.files import WeightsError

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
_PREFIX = "base_model.model."
_UNKNOWN = ("use_dora", "bias", "modules_to_save", "rank_pattern", "alpha_pattern", "lora_bias")


@frozen(eq=False)
class Pair:
    """`down` [rank, in], `up` [out, rank], the scale already in `up`."""

    down: torch.Tensor
    up: torch.Tensor


@frozen(eq=False)
class Adapter:
    """The pairs of an adapter by the name of the layer they belong to."""

    name: str
    pairs: Mapping[str, Pair]

    @classmethod
    def read(cls, folder: Path, device: str, dtype: torch.dtype) -> Adapter:
        """Raises WeightsError for a folder that holds no adapter of a kind that is known here."""
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            with safe_open(folder / WEIGHTS, framework="pt", device=device) as archive:
                tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"{folder} holds no adapter: {error}", f"An adapter is {CONFIG} with {WEIGHTS}."
            ) from error
        _check(folder, config)
        scale = _scale(config)
        names = [name.removesuffix(".lora_A.weight") for name in tensors if name.endswith(".lora_A.weight")]
        return cls(
            folder.resolve().name,
            {
                name.removeprefix(_PREFIX): Pair(
                    tensors[f"{name}.lora_A.weight"].to(dtype),
                    (tensors[f"{name}.lora_B.weight"] * scale).to(dtype),
                )
                for name in names
            },
        )

    def over(self, names: Sequence[str], layer: torch.nn.Module, sizes: Sequence[int]) -> torch.nn.Module:
        """The layer made of the weights with these names, one under the other with `sizes` rows, and the
        adapter's part of each."""
        if not any(name in self.pairs for name in names):
            return layer
        return Adapted(layer, *_joined([self.pairs.get(name) for name in names], sizes))

    def check_used(self, made: Sequence[str]) -> None:
        """Raises WeightsError when the model has no layer for a part of the adapter."""
        if left := set(self.pairs) - set(made):
            raise WeightsError(
                f"The adapter {self.name} is for another model: there is no {min(left)} in this one.",
                "Its base model is named in its backtrail-tune.json or adapter_config.json.",
            )


class Adapted(torch.nn.Module):
    """y = layer(x) + x down^T up^T. Inference only."""

    def __init__(self, layer: torch.nn.Module, down: torch.Tensor, up: torch.Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.down, self.up = down.t().contiguous(), up.t().contiguous()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x)
        return y + (x @ self.down) @ self.up


def _joined(pairs: Sequence[Pair | None], sizes: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """One pair for several weights under each other: their downs stacked, their ups on the diagonal."""
    known = [pair for pair in pairs if pair is not None]
    like = known[0].up
    up = like.new_zeros(sum(sizes), sum(pair.down.shape[0] for pair in known))
    row = column = 0
    for pair, size in zip(pairs, sizes, strict=True):
        if pair is not None:
            rank = pair.down.shape[0]
            if pair.up.shape[0] != size:
                raise WeightsError(
                    "The adapter is for another model: its sizes differ.", "Name its base model."
                )
            up[row : row + size, column : column + rank] = pair.up
            column += rank
        row += size
    return torch.cat([pair.down for pair in known]), up


def _check(folder: Path, config: Mapping[str, Any]) -> None:
    """Only plain LoRA is known: whatever else a configuration asks for is refused, and not left out."""
    odd = [name for name in _UNKNOWN if config.get(name) not in (None, False, "none", {}, [])]
    if config.get("peft_type") != "LORA" or odd:
        what = odd[0] if odd else f"peft_type {config.get('peft_type')}"
        raise WeightsError(
            f"The adapter in {folder} uses {what}, which is not supported.", "Train a plain LoRA."
        )


def _scale(config: Mapping[str, Any]) -> float:
    rank, alpha = float(config["r"]), float(config["lora_alpha"])
    return alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank
