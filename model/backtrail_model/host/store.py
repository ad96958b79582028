"""What the CPU kernel needs of a model, made once and kept beside its weights.

The kernel wants the nibbles in an order of its own (`linear.interleave`), and making that takes longer
than everything else in loading. In a file it is mapped, as the weights are: the next start has it at
once, and its pages belong to all processes that serve this model.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from attrs import frozen
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

FILE = "kernel-1.nf4"
"""A new number when the order changes. Not a name that transformers looks for in a folder of weights."""
SPARE_BYTES = 1 << 30
"""Disk space that is left free."""


@frozen(eq=False)
class Packed:
    """Weights in the order of a kernel: `nibbles` [rows, columns / 2], `scales` [columns / block, rows] for
    bitsandbytes' and [rows, columns / block] for ours."""

    nibbles: torch.Tensor
    scales: torch.Tensor
    block: int = 64


class Store:
    """The packed weights of one model's folder, by name. `save` keeps what had to be made."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._held: dict[str, torch.Tensor] = {}
        self._made = False
        with contextlib.suppress(OSError, SafetensorError), safe_open(self._path, framework="pt") as archive:
            self._held = {key: archive.get_tensor(key) for key in archive.keys()}  # noqa: SIM118

    def get(self, name: str, shape: tuple[int, int], make: Callable[[], Packed]) -> Packed:
        """The packed weights called `name` of this shape [rows, columns], as kept or as `make` makes them."""
        nibbles, scales = self._held.get(f"{name}.nibbles"), self._held.get(f"{name}.scales")
        rows, columns = shape
        if nibbles is not None and scales is not None and nibbles.shape == (rows, columns // 2):
            return Packed(nibbles, scales, rows * columns // scales.numel())
        made = make()
        self._held |= {f"{name}.nibbles": made.nibbles, f"{name}.scales": made.scales}
        self._made = True
        return made

    def save(self) -> None:
        """Keep what was made; a folder that cannot be written or a full disk only costs the next start."""
        size = sum(tensor.nbytes for tensor in self._held.values())
        if self._made and shutil.disk_usage(self._path.parent).free > size + SPARE_BYTES:
            with contextlib.suppress(OSError, SafetensorError):
                _write(self._path, self._held)


def _write(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        save_file(tensors, name)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
