"""A linear layer over NF4 weights by our own kernel (`native/nf4.c`), for processors without AVX512-BF16.

Weights stay as they lie on disk, and the kernel takes them at any number of rows, so there is one way for
decoding and for prompts, and one copy of the weights. Inputs become bytes with a scale for each 64 of them;
the result is within about 1 % of the product with the weights expanded, where NF4 itself is about 10 % from
the published weights.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch

from backtrail_model.host import compiled
from backtrail_model.host.linear import Nf4Weight

BLOCK = 64


def fits(weight: Nf4Weight) -> bool:
    """Whether the kernel takes this weight here: on the CPU, in whole blocks of 64."""
    on_cpu = weight.packed.device.type == "cpu"
    whole = weight.block == BLOCK and weight.columns % BLOCK == 0
    return on_cpu and whole and not isinstance(compiled.library(), str)


class IntegerLinear(torch.nn.Module):
    """y = x W^T + b on the CPU, W the given NF4 weights one under the other. Inference only, float32."""

    def __init__(self, weights: Sequence[Nf4Weight], bias: torch.Tensor | None = None) -> None:
        """Raises RuntimeError if the kernel is not to be had."""
        super().__init__()
        found = compiled.library()
        if isinstance(found, str):
            raise RuntimeError(found)
        self._library, self.weights, self.bias = found, tuple(weights), bias
        self.in_features, self.out_features = weights[0].columns, sum(weight.rows for weight in weights)
        count = len(weights)
        self._rows = (ctypes.c_int64 * count)(*(weight.rows for weight in weights))
        self._packed = (ctypes.c_void_p * count)(*(weight.packed.data_ptr() for weight in weights))
        self._scales = (ctypes.c_void_p * count)(*(weight.scales.data_ptr() for weight in weights))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1, self.in_features).contiguous()
        tokens, columns = flat.shape
        q = torch.empty(tokens, columns, dtype=torch.int8)
        scales, excess = torch.empty(2, tokens, columns // BLOCK)
        y = torch.empty(tokens, self.out_features)
        given = q.data_ptr(), scales.data_ptr(), excess.data_ptr()
        self._library.nf4_quantise(tokens, columns, flat.data_ptr(), *given)
        bias = None if self.bias is None else self.bias.data_ptr()
        self._library.nf4_multiply(
            tokens,
            columns,
            *given,
            len(self.weights),
            self._rows,
            self._packed,
            self._scales,
            bias,
            y.data_ptr(),
            self.out_features,
        )
        return y.view(*x.shape[:-1], self.out_features)
