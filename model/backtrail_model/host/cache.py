"""The keys and values of what was read so far, in buffers that grow by doubling.

A step writes its new positions in place, a rejected draft is taken back by moving the length, and a
prefix can be copied out for reuse. All layers share one pair of buffers, so each of these is one
operation, whatever the depth of the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

ROOM = 128  # positions


class KeyValues:
    """Keys and values [layers, rows, heads, capacity, size], of whose positions `length` are in use.

    `pads` says for each row how many positions at its beginning are empty: rows of a batch end at the
    same place, so that all grow alike, and shorter ones begin later. None if there are none.
    """

    def __init__(
        self, keys: torch.Tensor, values: torch.Tensor, length: int, pads: torch.Tensor | None = None
    ):
        self._keys, self._values = keys, values
        self.length = length
        self.pads = pads

    @classmethod
    def empty(
        cls, layers: int, heads: int, size: int, *, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> KeyValues:
        shape = (layers, 1, heads, 0, size)
        keys, values = (torch.empty(shape, dtype=dtype, device=device) for _ in range(2))
        return cls(keys, values, 0)

    @property
    def rows(self) -> int:
        return int(self._keys.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of the buffers, spare capacity included."""
        return int(self._keys.nbytes + self._values.nbytes)

    def reserve(self, count: int) -> None:
        """Make sure that `count` more positions have room."""
        end = self.length + count
        if self._keys.shape[-2] < end:
            capacity = max(end + ROOM, 2 * self._keys.shape[-2])
            self._keys, self._values = (self._wider(old, capacity) for old in (self._keys, self._values))

    def _wider(self, old: torch.Tensor, capacity: int) -> torch.Tensor:
        new = old.new_empty(*old.shape[:-2], capacity, old.shape[-1])
        new[..., : self.length, :] = old[..., : self.length, :]
        return new

    @property
    def sees_all(self) -> bool:
        """Whether one new token may look at every position there is."""
        return self.pads is None

    def positions(self, tokens: int) -> torch.Tensor:
        """Where the next `tokens` will stand."""
        return self.length + torch.arange(tokens, device=self._keys.device)

    def columns(self, tokens: int) -> torch.Tensor:
        """All positions that `write` returns when there are `tokens` new ones."""
        return torch.arange(self.length + tokens, device=self._keys.device)

    def write(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put new keys and values [rows, heads, tokens, size] of a layer after the length.

        Returns all of that layer's, the new ones included. The length moves with `advance`, once all
        layers are written; `reserve` comes first.
        """
        end = self.length + keys.shape[-2]
        held, also = self._keys[layer, :, :, :end], self._values[layer, :, :, :end]
        held[:, :, self.length :] = keys
        also[:, :, self.length :] = values
        return held, also

    def advance(self, count: int) -> None:
        """Count the positions that were written."""
        self.length += count

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on."""
        self.length = min(self.length, length)

    def roomy(self, rows: int, capacity: int) -> torch.Tensor:
        """A buffer for keys or values of as many rows and positions, zeroed: a masked position still takes
        part as 0 times its value."""
        layers, _, heads, _, size = self._keys.shape
        return self._keys.new_zeros((layers, rows, heads, capacity, size))

    def bytes_of(self, rows: int, capacity: int) -> int:
        """What such a buffer takes."""
        layers, _, heads, _, size = self._keys.shape
        return int(layers * rows * heads * capacity * size * self._keys.element_size())

    def move(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Go over to other buffers [layers, rows, heads, capacity, size], which get what is in use."""
        keys[..., : self.length, :] = self._keys[..., : self.length, :]
        values[..., : self.length, :] = self._values[..., : self.length, :]
        self._keys, self._values = keys, values

    def move_out(self) -> None:
        """Go over to buffers of its own."""
        self.move(*(torch.empty_like(old[..., : self.length, :]) for old in (self._keys, self._values)))

    def lies_in(self, keys: torch.Tensor) -> bool:
        """Whether its keys are in this buffer."""
        return self._keys.data_ptr() == keys.data_ptr()

    def prefix(self, length: int, room: int = 0) -> KeyValues:
        """A copy of the first row's first `length` positions, with room for `room` more."""
        shape = (self._keys.shape[0], 1, self._keys.shape[2], length + room, self._keys.shape[4])
        keys, values = self._keys.new_empty(shape), self._values.new_empty(shape)
        keys[..., :length, :] = self._keys[:, :1, :, :length]
        values[..., :length, :] = self._values[:, :1, :, :length]
        return KeyValues(keys, values, length)

    def select(self, index: Sequence[int]) -> KeyValues:
        """A copy with the rows of `index`, which may repeat."""
        chosen = torch.tensor(index, device=self._keys.device)
        keys, values = (
            old[..., : self.length, :].index_select(1, chosen) for old in (self._keys, self._values)
        )
        return KeyValues(keys, values, self.length, None if self.pads is None else self.pads[chosen])


def side_by_side(caches: Sequence[KeyValues]) -> KeyValues:
    """One cache of all rows of `caches`; the shorter ones are padded at their beginning.

    The caches given must have no pads themselves.
    """
    length = max(cache.length for cache in caches)
    pads = torch.tensor([length - cache.length for cache in caches for _ in range(cache.rows)])
    like = caches[0]._keys
    shape = (like.shape[0], len(pads), like.shape[2], length, like.shape[4])
    # Zeros and not whatever was in memory: a masked position still takes part as 0 times its value.
    whole = KeyValues(like.new_zeros(shape), like.new_zeros(shape), length, pads if pads.any() else None)
    row = 0
    for cache in caches:
        for new, old in ((whole._keys, cache._keys), (whole._values, cache._values)):
            new[:, row : row + cache.rows, :, length - cache.length :] = old[..., : cache.length, :]
        row += cache.rows
    return whole
