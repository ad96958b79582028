"""Keys and values in buffers that never move, with their length on the device.

A pass that is captured (`captured.py`) does the same to the same addresses each time it is replayed, so
nothing that changes from step to step may be a number of the host's: where the new positions go is read from
`length`, and attention looks at the whole capacity, of which the mask lets through what is in use.
"""

from __future__ import annotations

import torch

from backtrail_model.host.cache import KeyValues


class FixedKeyValues:
    """Buffers [layers, rows, heads, capacity, size]; `length` and `pads` [rows] are tensors on the device."""

    sees_all = False

    def __init__(self, like: KeyValues, rows: int, capacity: int) -> None:
        """Empty buffers of the type and on the device of `like`. Raises torch.OutOfMemoryError."""
        self.keys, self.values = like.roomy(rows, capacity), like.roomy(rows, capacity)
        self.length = torch.zeros((), dtype=torch.long, device=self.keys.device)
        self.pads = torch.zeros(rows, dtype=torch.long, device=self.keys.device)

    @property
    def rows(self) -> int:
        return int(self.keys.shape[1])

    @property
    def capacity(self) -> int:
        return int(self.keys.shape[-2])

    @property
    def nbytes(self) -> int:
        return int(self.keys.nbytes + self.values.nbytes)

    def follow(self, cache: KeyValues) -> None:
        """Take over the length and the pads of a cache that lies in these buffers."""
        self.length.fill_(cache.length)
        self.pads.zero_()
        if cache.pads is not None:
            self.pads[: cache.rows] = cache.pads.to(self.pads.device)

    def reserve(self, count: int) -> None:
        """Nothing: whoever replays a pass has seen to it that there is room."""

    def advance(self, count: int) -> None:
        """Nothing: the cache that lies here counts."""

    def positions(self, tokens: int) -> torch.Tensor:
        return self.length + torch.arange(tokens, device=self.keys.device)

    def columns(self, tokens: int) -> torch.Tensor:
        return torch.arange(self.capacity, device=self.keys.device)

    def write(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put new keys and values [rows, heads, tokens, size] after the length; returns all there is."""
        places = self.positions(keys.shape[-2])
        self.keys[layer].index_copy_(2, places, keys)
        self.values[layer].index_copy_(2, places, values)
        return self.keys[layer], self.values[layer]
