"""bitsandbytes' compiled NF4 kernels for the CPU, called without the package's Python side.

`import bitsandbytes` brings transformers along and takes longer than everything else at the start of the
host together; a call through it costs as much again as a small product. The functions here are those
that `bitsandbytes/backends/cpu/ops.py` calls, with the same arguments. Where the library or a function
of it is missing, `library` is None and the host takes the public way (`linear.py`).
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

_POINTER, _COUNT = ctypes.c_void_p, ctypes.c_int64
_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}
_ARGUMENTS = {
    # rows of x, rows of the weight, columns, x, weight, scales, y, block, stride of x, stride of y
    "gemv_4bit_inference_cpu_nf4_bf16": [_COUNT] * 3 + [_POINTER] * 4 + [_COUNT] * 3,
    # weight, scales, result, block, rows, columns
    "cdequantize_blockwise_cpu_nf4_bf16": [_POINTER] * 3 + [_COUNT] * 3,
    "cdequantize_blockwise_cpu_nf4_fp32": [_POINTER] * 3 + [_COUNT] * 3,
}


@cache
def library() -> ctypes.CDLL | None:
    """The compiled library with the functions used here declared; None if it is not there or differs."""
    spec = find_spec("bitsandbytes")
    if spec is None or not spec.submodule_search_locations:
        return None
    file = Path(spec.submodule_search_locations[0]) / f"libbitsandbytes_cpu{_SUFFIX.get(sys.platform, '.so')}"
    try:
        found = ctypes.CDLL(str(file))
        for name, arguments in _ARGUMENTS.items():
            getattr(found, name).argtypes = arguments
            getattr(found, name).restype = None
        found.has_avx512bf16_cpu.restype = ctypes.c_bool
    except (OSError, AttributeError):
        return None
    return found


@cache
def multiplies_packed() -> bool:
    """Whether this CPU has the kernel that multiplies straight from packed NF4 (AVX512-BF16)."""
    found = library()
    return found is not None and bool(found.has_avx512bf16_cpu())


def multiplies(rows: int, columns: int, block: int = 64) -> bool:
    """Whether it takes a weight of this shape: whole bands of 32 rows, whole blocks in a row."""
    return multiplies_packed() and rows % 32 == 0 and columns % block == 0


def multiply(x: torch.Tensor, packed: torch.Tensor, scales: torch.Tensor, block: int) -> torch.Tensor:
    """x [..., columns] times the transpose of a weight in the kernel's order; all in bfloat16.

    `packed` [rows, columns / 2] as `linear.interleave` makes it, `scales` [columns / block, rows].
    """
    found = library()
    assert found is not None
    flat = x.reshape(-1, x.shape[-1])
    if flat.stride(-1) != 1:
        flat = flat.contiguous()
    rows = packed.shape[0]
    y = torch.empty(flat.shape[0], rows, dtype=torch.bfloat16)
    found.gemv_4bit_inference_cpu_nf4_bf16(
        flat.shape[0],
        rows,
        flat.shape[1],
        flat.data_ptr(),
        packed.data_ptr(),
        scales.data_ptr(),
        y.data_ptr(),
        block,
        flat.stride(0),
        rows,
    )
    return y.view(*x.shape[:-1], rows)


def expand(
    packed: torch.Tensor, scales: torch.Tensor, columns: int, block: int, dtype: torch.dtype
) -> torch.Tensor:
    """A weight [rows, columns] from nibbles and float32 scales in storage order, both contiguous.

    `dtype` is bfloat16 or float32.
    """
    found = library()
    assert found is not None
    rows = packed.numel() * 2 // columns
    out = torch.empty(rows, columns, dtype=dtype)
    call = (
        found.cdequantize_blockwise_cpu_nf4_bf16
        if dtype == torch.bfloat16
        else found.cdequantize_blockwise_cpu_nf4_fp32
    )
    call(packed.data_ptr(), scales.data_ptr(), out.data_ptr(), block, rows, columns)
    return out
