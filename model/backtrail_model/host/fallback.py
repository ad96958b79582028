"""Models that `decoder.py` cannot compute, by transformers' own classes."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

from backtrail_model.host.cache import KeyValues


class View(DynamicLayer):
    """One layer of our cache as transformers sees a layer of its own."""

    def __init__(self, cache: KeyValues, number: int) -> None:
        super().__init__()
        self._cache, self._number = cache, number

    def get_seq_length(self) -> int:
        return self._cache.length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._cache.length + query_length, 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self._cache.write(self._number, key_states, value_states)


class TransformersModel:
    """A model of transformers, driven as `decoder.Decoder` is. Rows of a batch must be of equal length."""

    ragged = False
    replayed = 0

    def __init__(self, model: Any) -> None:
        self.model, self.config, self.device = model, model.config, model.device
        self.dtype = model.dtype

    def empty_cache(self) -> KeyValues:
        config = self.config
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return KeyValues.empty(
            config.num_hidden_layers, config.num_key_value_heads, size, dtype=self.dtype, device=self.device
        )

    def passing(self, ids: torch.Tensor, cache: KeyValues) -> Generator[None, None, torch.Tensor]:
        """As `Decoder.passing`, but it cannot be left off in the middle."""
        if cache.pads is not None:
            raise ValueError("rows of different lengths are not supported for this architecture")
        cache.reserve(ids.shape[1])
        views = Cache(layers=[View(cache, number) for number in range(self.config.num_hidden_layers)])
        output = self.model.model(input_ids=ids.to(self.device), past_key_values=views, use_cache=True)
        cache.advance(ids.shape[1])
        yield
        hidden: torch.Tensor = output.last_hidden_state
        return hidden

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """As `Decoder.logits`."""
        logits: torch.Tensor = self.model.lm_head(hidden).float()
        return logits
