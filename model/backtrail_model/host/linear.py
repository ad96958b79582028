"""A linear layer over NF4 weights that takes the cheapest way for the number of rows at hand.

On a CPU with AVX512-BF16, bitsandbytes has a kernel that multiplies straight from packed nibbles. Its
cost grows with the rows; a dense product in bfloat16 costs nearly the same from 1 to 64 rows. So few
rows (decode, verification of a draft) go to the packed kernel, and many rows (prefill) pay once to
expand the weight and then go to the dense product.

Weights that multiply the same input (query, key and value; gate and up) form one layer, so that a token
needs four products a layer of the model and not seven: each is a meeting of all threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from attrs import frozen
from torch.nn.functional import linear

from backtrail_model.host import kernels
from backtrail_model.host.store import Packed

SLAB_BYTES = 8 << 20
DENSE_FROM_ROWS = 24
"""From here on expanding the weight is cheaper; bench/model_host.py prints the two costs row by row."""


@frozen(eq=False)
class Nf4Weight:
    """A weight [rows, columns] as it lies on disk, in bitsandbytes' layout.

    `packed` uint8 [rows * columns / 2], the first of two neighbours in the high half of a byte; `scales`
    float32, one for `block` neighbours; `code` the 16 values of NF4.
    """

    packed: torch.Tensor
    scales: torch.Tensor
    code: torch.Tensor
    rows: int
    columns: int
    block: int = 64

    @property
    def nbytes(self) -> int:
        return int(self.packed.nbytes + self.scales.nbytes)

    def expand(self, start: int, end: int, dtype: torch.dtype) -> torch.Tensor:
        """The weight's rows from `start` to `end`; a row is a whole number of blocks."""
        packed = self.packed[start * self.columns // 2 : end * self.columns // 2]
        scales = self.scales[start * self.columns // self.block : end * self.columns // self.block]
        if packed.device.type == "cpu" and kernels.library() is not None:
            return kernels.expand(packed, scales, self.columns, self.block, dtype)
        from bitsandbytes.functional import dequantize_4bit

        return cast(torch.Tensor, dequantize_4bit(packed, self._state(end - start, scales, dtype)))

    def state(self, dtype: torch.dtype) -> Any:
        """The same as bitsandbytes' QuantState, for its own functions."""
        return self._state(self.rows, self.scales, dtype)

    def _state(self, rows: int, scales: torch.Tensor, dtype: torch.dtype) -> Any:
        from bitsandbytes.functional import QuantState

        return QuantState(
            absmax=scales,
            shape=torch.Size((rows, self.columns)),
            code=self.code,
            blocksize=self.block,
            quant_type="nf4",
            dtype=dtype,
        )


class PackedLinear(torch.nn.Module):
    """y = x W^T + b on the CPU, W the given NF4 weights one under the other. Inference only, bfloat16."""

    def __init__(
        self, weights: Sequence[Nf4Weight], bias: torch.Tensor | None = None, packed: Packed | None = None
    ) -> None:
        """`packed` is what `pack` makes of the weights, if it is at hand."""
        super().__init__()
        self.weights, self.bias = tuple(weights), bias
        self.packed = packed or pack(weights)
        self.in_features = weights[0].columns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.numel() // self.in_features
        return self.multiply_dense(x) if rows >= DENSE_FROM_ROWS else self.multiply_packed(x)

    def multiply_packed(self, x: torch.Tensor) -> torch.Tensor:
        """The product straight from the nibbles."""
        y = kernels.multiply(x, self.packed.nibbles, self.packed.scales, self.packed.block)
        return y if self.bias is None else y.add_(self.bias)

    def multiply_dense(self, x: torch.Tensor) -> torch.Tensor:
        """The product with the weights expanded anew, a slab of rows at a time.

        Slabs stay in the processor's cache, and the memory allocator gets them back in one size; whole
        expanded weights, freed and taken in several sizes, let the process grow by gigabytes.
        """
        slab = max(32, SLAB_BYTES // (x.element_size() * self.in_features))
        y = torch.cat(
            [
                linear(x, weight.expand(at, min(at + slab, weight.rows), x.dtype))
                for weight in self.weights
                for at in range(0, weight.rows, slab)
            ],
            dim=-1,
        )
        return y if self.bias is None else y.add_(self.bias)


class DenseLinear(torch.nn.Module):
    """y = x W^T + b, W the given dense weights one under the other, which need not lie together."""

    def __init__(self, weights: Sequence[torch.Tensor], bias: torch.Tensor | None = None) -> None:
        super().__init__()
        self.weights, self.bias = tuple(weights), bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(self.weights) == 1:
            return linear(x, self.weights[0], self.bias)
        y = torch.cat([linear(x, weight) for weight in self.weights], dim=-1)
        return y if self.bias is None else y + self.bias


class DeviceLinear(torch.nn.Module):
    """y = x W^T + b by bitsandbytes' own functions, on whatever device the weights are."""

    def __init__(
        self,
        weights: Sequence[Nf4Weight],
        bias: torch.Tensor | None = None,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        super().__init__()
        whole = together(weights)
        self.packed, self.state, self.bias = whole.packed.view(-1, 1), whole.state(dtype), bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        import bitsandbytes

        y = bitsandbytes.matmul_4bit(x, self.packed.t(), quant_state=self.state, bias=self.bias)
        return cast(torch.Tensor, y)


def nf4_linear(
    weights: Sequence[Nf4Weight],
    bias: torch.Tensor | None,
    dtype: torch.dtype,
    *,
    keep: bool,
    store: Callable[[Callable[[], Packed]], Packed] = lambda make: make(),
) -> torch.nn.Module:
    """The layer for these weights: NF4 if `keep`, by the kernel that applies; else expanded now.

    `store` may know what `pack` would make.
    """
    if not keep:
        return DenseLinear([weight.expand(0, weight.rows, dtype) for weight in weights], bias)
    from backtrail_model.host import integer  # which takes its weights from here

    if dtype == torch.float32 and all(integer.fits(weight) for weight in weights):
        return integer.IntegerLinear(weights, bias)
    if dtype == torch.bfloat16 and all(fits_kernel(weight) for weight in weights):
        return PackedLinear(weights, bias, store(lambda: pack(weights)))
    return DeviceLinear(weights, bias, dtype)


def pack(weights: Sequence[Nf4Weight]) -> Packed:
    """Weights of the same number of columns, one under the other, in the order of the CPU kernel."""
    return Packed(
        torch.cat([interleave(weight.packed, weight.rows, weight.columns) for weight in weights]),
        torch.cat([_scales(weight) for weight in weights], dim=1),
        weights[0].block,
    )


def fits_kernel(weight: Nf4Weight) -> bool:
    """Whether the CPU kernel can multiply by this weight here."""
    on_cpu = weight.packed.device.type == "cpu"
    return on_cpu and kernels.multiplies(weight.rows, weight.columns, weight.block)


def together(weights: Sequence[Nf4Weight]) -> Nf4Weight:
    """Weights of the same number of columns as one, one under the other; copies unless there is one."""
    if len(weights) == 1:
        return weights[0]
    return Nf4Weight(
        torch.cat([weight.packed for weight in weights]),
        torch.cat([weight.scales for weight in weights]),
        weights[0].code,
        sum(weight.rows for weight in weights),
        weights[0].columns,
        weights[0].block,
    )


def _scales(weight: Nf4Weight) -> torch.Tensor:
    """[columns / block, rows] in bfloat16, as the kernel wants them."""
    return weight.scales.view(weight.rows, -1).to(torch.bfloat16).T.contiguous()


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
