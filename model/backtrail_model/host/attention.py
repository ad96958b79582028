"""Attention on the CPU by our own kernel (`native/attention.c`), where there is one.

A token's result is the same to the last bit alone, in a prompt, in a batch and behind a draft. torch's kernel
adds in another order for each number of tokens; a prompt that is read from the cache then gives other samples
than one that is read anew, for the same seed.
"""

from __future__ import annotations

import ctypes

import torch

from backtrail_model.host import compiled

LANES = 8


class Attention:
    """Scaled dot product attention over keys and values that lie in a cache; causal, float32."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def __call__(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        pads: torch.Tensor | None,
    ) -> torch.Tensor:
        """queries [rows, heads, tokens, size], the last tokens of keys and values [rows, kv heads, positions,
        size]; `pads` [rows] says which positions of a row are empty at its beginning.

        Returns [rows, tokens, heads * size].
        """
        rows, heads, tokens, size = queries.shape
        out = torch.empty(rows, tokens, heads * size)
        held = None if pads is None else pads.to(torch.long).contiguous()
        self._library.attend(
            rows,
            tokens,
            heads,
            keys.shape[1],
            size,
            keys.shape[2] - tokens,
            queries.data_ptr(),
            _strides(queries),
            keys.data_ptr(),
            values.data_ptr(),
            _strides(keys),
            None if held is None else held.data_ptr(),
            out.data_ptr(),
        )
        return out


def _strides(x: torch.Tensor) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * 3)(*x.stride()[:3])


def attention(device: torch.device, dtype: torch.dtype, size: int) -> Attention | None:
    """Our kernel for heads of this size, if it can be had."""
    if device.type != "cpu" or dtype != torch.float32 or size % LANES:
        return None
    library = compiled.library()
    return None if isinstance(library, str) else Attention(library)
