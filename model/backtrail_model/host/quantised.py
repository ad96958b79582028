"""Weights → NF4 (Dettmers et al. 2023, QLoRA), bit for bit as bitsandbytes makes it, several times as fast.

bitsandbytes looks each number's place up by bisection, over temporary tensors of the weight's size. Here
it is counted how many of the fifteen bounds lie below a number, in slabs that stay in the processor's
cache. numpy counts: its comparison of floats into booleans takes an eighth of the time of torch's.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from bitsandbytes.functional import QuantState, get_4bit_type, quantize_4bit

BLOCK = 64
"""Weights a scale."""
SLAB = 1 << 17
"""Weights a slab: half a MiB in float32."""
_LEAST = 1e-38  # a block of zeros has no scale to divide by


def nf4(weight: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """A weight [rows, columns] on the CPU: nibbles [rows * columns / 2, 1] and their QuantState."""
    if weight.shape[-1] % BLOCK:
        return _by_bitsandbytes(weight)
    parts = [_slab(slab) for slab in weight.split(max(1, SLAB // weight.shape[-1]))]
    state = QuantState(
        absmax=torch.cat([scales for _, scales in parts]),
        shape=weight.shape,
        code=get_4bit_type("nf4", device="cpu"),
        blocksize=BLOCK,
        quant_type="nf4",
        dtype=weight.dtype,
    )
    return torch.cat([nibbles for nibbles, _ in parts]).unsqueeze(1), state


def _by_bitsandbytes(weight: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Also for blocks that go over the end of a row."""
    packed, state = quantize_4bit(weight, blocksize=BLOCK, quant_type="nf4", compress_statistics=False)
    return packed, state


def _slab(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Whole rows → their nibbles, the first of two neighbours in the high half, and a scale each block."""
    blocks = weight.to(torch.float32, copy=True).view(-1, BLOCK)
    scales = blocks.abs().amax(-1)
    scaled = blocks.mul_((1.0 / scales.clamp(min=_LEAST)).view(-1, 1)).clamp_(-1, 1)
    pairs = _places(scaled.numpy()).reshape(-1, 2)
    return torch.from_numpy((pairs[:, 0] << 4) | pairs[:, 1]), scales


def _places(scaled: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """How many bounds lie below each number: its place among the 16 values."""
    above = np.empty(scaled.shape, dtype=np.bool_)
    places = np.zeros(scaled.shape, dtype=np.uint8)
    for bound in _bounds():
        np.greater(scaled, bound, out=above)
        np.add(places, above.view(np.uint8), out=places)
    return places


@cache
def _bounds() -> tuple[np.float32, ...]:
    """Half-way between neighbours of the 16 values."""
    code = get_4bit_type("nf4", device="cpu")
    return tuple(((code[1:] + code[:-1]) / 2).numpy())
