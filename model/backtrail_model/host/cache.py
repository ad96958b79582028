"""The keys and values of what was read so far, in buffers that grow by doubling.

transformers' own dynamic cache copies everything at every step. Here a step writes its new rows in
place, a rejected draft is taken back by moving the length, and a prefix can be copied out for reuse.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

ROOM = 128  # positions


class GrowingLayer(DynamicLayer):
    """One layer's keys and values: buffers [batch, heads, capacity, size], of which `length` are in use."""

    def __init__(self, keys: torch.Tensor | None = None, values: torch.Tensor | None = None) -> None:
        super().__init__()
        self.length = 0
        self._room: tuple[torch.Tensor, torch.Tensor] | None = None
        if keys is not None and values is not None:
            self._room = (keys, values)
            self._show(keys.shape[-2])

    @property
    def nbytes(self) -> int:
        """Bytes of the buffers, spare capacity included."""
        return 0 if self._room is None else self._room[0].nbytes + self._room[1].nbytes

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start, end = self.length, self.length + key_states.shape[-2]
        keys, values = self._reserve(end, key_states)
        keys[:, :, start:end] = key_states
        values[:, :, start:end] = value_states
        self._show(end)
        return self.keys, self.values

    def _reserve(self, end: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        old = self._room
        if old is not None and old[0].shape[-2] >= end:
            return old
        batch, heads, _, size = like.shape
        capacity = max(end + ROOM, 0 if old is None else 2 * old[0].shape[-2])
        new = (like.new_empty(batch, heads, capacity, size), like.new_empty(batch, heads, capacity, size))
        if old is not None:
            for source, target in zip(old, new, strict=True):
                target[:, :, : self.length] = source[:, :, : self.length]
        self._room = new
        return new

    def _show(self, length: int) -> None:
        assert self._room is not None
        self.length, self.is_initialized = length, True
        self.keys = self._room[0][:, :, :length]
        self.values = self._room[1][:, :, :length]

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on."""
        if length < self.length:
            self._show(length)

    def prefix(self, length: int) -> GrowingLayer:
        """A copy of the first row's first `length` positions, without spare capacity."""
        return GrowingLayer(self.keys[:1, :, :length].clone(), self.values[:1, :, :length].clone())

    def rows(self, index: torch.Tensor) -> GrowingLayer:
        """A copy with the batch rows of `index`, which may repeat."""
        index = index.to(self.keys.device)
        return GrowingLayer(self.keys.index_select(0, index), self.values.index_select(0, index))


class KeyValues(Cache):
    """The cache of all layers; the type that the model's forward takes."""

    def __init__(self, layers: list[GrowingLayer]) -> None:
        super().__init__(layers=layers)

    @classmethod
    def empty(cls, layers: int) -> KeyValues:
        return cls([GrowingLayer() for _ in range(layers)])

    @property
    def length(self) -> int:
        """Positions held."""
        return int(self.layers[0].length)

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers, spare capacity included."""
        return sum(layer.nbytes for layer in self.layers)

    def truncate(self, length: int) -> None:
        for layer in self.layers:
            layer.truncate(length)

    def rows(self, index: torch.Tensor) -> KeyValues:
        """A copy with the batch rows of `index`."""
        return KeyValues([layer.rows(index) for layer in self.layers])

    def prefix(self, length: int) -> KeyValues:
        """A copy of the first row's first `length` positions."""
        return KeyValues([layer.prefix(length) for layer in self.layers])
