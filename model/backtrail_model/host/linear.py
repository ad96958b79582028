"""A linear layer over an NF4 weight that takes the cheapest way for the number of rows at hand.

On a CPU with AVX512-BF16, bitsandbytes has a kernel that multiplies straight from packed nibbles. It
is bound by arithmetic, so its cost grows with the rows; a dense product in bfloat16 costs nearly the
same from 1 to 64 rows. So few rows (decode, verification of a draft) go to the packed kernel, and many
rows (prefill) pay once to expand the weight and then go to the dense product.
"""

from __future__ import annotations

from typing import Any

import bitsandbytes
import torch
from bitsandbytes import functional
from bitsandbytes.functional import QuantState
from torch.nn.functional import linear

SLAB_BYTES = 8 << 20
DENSE_FROM_ROWS = 24
"""From here on expanding the weight is cheaper; bench/model_host.py prints the two costs row by row."""


class Nf4Linear(torch.nn.Module):
    """y = x W^T + b with W [out, in] held as NF4. Inference only."""

    def __init__(self, packed: torch.Tensor, state: QuantState, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = state.shape
        self.packed, self.state, self.bias = packed, state, bias
        self.fast, self.fast_state = _packed_for_cpu(packed, state)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.numel() // self.in_features
        if self.fast is None:
            return bitsandbytes.matmul_4bit(x, self.packed, quant_state=self.state, bias=self.bias)
        return self.multiply_dense(x) if rows >= DENSE_FROM_ROWS else self.multiply_packed(x)

    def multiply_packed(self, x: torch.Tensor) -> torch.Tensor:
        """The product straight from the nibbles."""
        y = functional.gemv_4bit(x, self.fast, state=self.fast_state)
        return y if self.bias is None else y + self.bias

    def multiply_dense(self, x: torch.Tensor) -> torch.Tensor:
        """The product with the weight expanded anew, a slab of rows at a time.

        Slabs stay in the processor's cache, and the memory allocator gets them back in one size; whole
        expanded weights, freed and taken in several sizes, let the process grow by gigabytes.
        """
        rows, columns = self.out_features, self.in_features
        slab = max(32, SLAB_BYTES // (x.element_size() * columns))
        parts = [linear(x, self._expanded(at, min(at + slab, rows))) for at in range(0, rows, slab)]
        y = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        return y if self.bias is None else y + self.bias

    def _expanded(self, start: int, end: int) -> torch.Tensor:
        """Rows of the weight in bfloat16; a row is a whole number of blocks."""
        columns, block = self.in_features, self.state.blocksize
        nibbles = self.packed.view(-1)[start * columns // 2 : end * columns // 2]
        scales = self.state.absmax[start * columns // block : end * columns // block]
        part = QuantState(
            absmax=scales,
            shape=torch.Size((end - start, columns)),
            code=self.state.code,
            blocksize=block,
            quant_type=self.state.quant_type,
            dtype=self.state.dtype,
        )
        return functional.dequantize_4bit(nibbles, part)


def has_packed_kernel() -> bool:
    """Whether this CPU has the kernel that multiplies straight from NF4."""
    return bool(functional.has_avx512bf16())


def _packed_for_cpu(packed: torch.Tensor, state: QuantState) -> tuple[torch.Tensor | None, Any]:
    """The weight in the order that the CPU kernel wants, or None where that kernel does not apply."""
    rows, columns = state.shape
    if packed.device.type != "cpu" or not has_packed_kernel() or rows % 32 or columns % state.blocksize:
        return None, state
    fast = QuantState(
        absmax=state.absmax.reshape(rows, columns // state.blocksize).T.to(torch.bfloat16).contiguous(),
        shape=state.shape,
        code=state.code,
        blocksize=state.blocksize,
        quant_type=state.quant_type,
        dtype=torch.bfloat16,
    )
    fast.packing_format_for_cpu = True
    return interleave(packed, rows, columns), fast


def interleave(packed: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Nibbles [rows, columns] in bitsandbytes' storage order → the order of its AVX512-BF16 kernel.

    In storage a byte holds two neighbours of a row, the first in the high half. The kernel takes rows by
    32 and columns by 2: a byte holds row r in the low half and row r + 16 of the same column in the high.
    """
    pairs = packed.reshape(rows // 32, 2, 16, columns // 2).permute(0, 3, 1, 2)  # [band, pair, half, row]
    low, high = pairs[:, :, 0], pairs[:, :, 1]
    first = (low >> 4) | (high & 0xF0)
    second = (low & 0xF) | (high << 4)
    return torch.stack((first, second), dim=-1).reshape(rows, columns // 2)
