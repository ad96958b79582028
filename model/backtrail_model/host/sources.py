"""The tensors of published weights, one at a time, under the names that transformers uses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from backtrail_model.fetching.files import WeightsError

DTYPE = torch.bfloat16
"""Of all tensors, whatever the source has."""
Item = tuple[str, Callable[[], torch.Tensor], int, int]
"""A tensor's name, what makes it, and how many bytes of the source are done with it, of how many."""

SLAB_ROWS = 64
"""Rows that are dequantised at a time: what numpy makes on the way then stays in the processor's cache,
which halves the time (bench/convert.py)."""

_WIDTHS = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1}
"""Bytes of a number, by safetensors' names; those that are not here take two."""

SUPPORTED = ("llama", "qwen2", "qwen3")
"""GGUF architectures whose tensors are known to map one to one."""


def tensors(source: Path, config: Any) -> Iterator[Item]:
    """All tensors of a GGUF file or a folder of safetensors. Raises WeightsError for other kinds."""
    return _from_gguf(source, config) if source.is_file() else _from_folder(source)


def _from_folder(folder: Path) -> Iterator[Item]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise WeightsError(
            f"{folder} holds no safetensors.", "Pickled weights are never loaded; convert them first."
        )
    done, total = 0, sum(file.stat().st_size for file in files)
    for file in files:
        with safe_open(file, framework="pt") as archive:
            for name in archive.keys():  # noqa: SIM118 (not a mapping)
                done += _bytes(archive, name)
                yield name, partial(_stored, file, name), done, total


def _stored(file: Path, name: str) -> torch.Tensor:
    """The file is opened for it alone: tensors are made in several threads, some after the next file's."""
    with safe_open(file, framework="pt") as archive:
        tensor: torch.Tensor = archive.get_tensor(name)
    return tensor.to(DTYPE)


def _bytes(archive: Any, name: str) -> int:
    """What a tensor takes in its file; nothing of it is read."""
    part = archive.get_slice(name)
    return math.prod(part.get_shape()) * _WIDTHS.get(part.get_dtype(), 2)


def _from_gguf(file: Path, config: Any) -> Iterator[Item]:
    reader = gguf.GGUFReader(file)
    architecture = reader.fields["general.architecture"].contents()
    if architecture not in SUPPORTED:
        advice = f"Supported in GGUF are {', '.join(SUPPORTED)}; others as a folder of safetensors."
        raise WeightsError(f"{file.name} is of the architecture {architecture!r}.", advice)
    names = _names(architecture, config)
    done, total = 0, sum(int(tensor.n_bytes) for tensor in reader.tensors)
    for tensor in reader.tensors:
        done += int(tensor.n_bytes)
        if tensor.name not in names:
            continue  # tables that transformers computes itself, such as rotary frequencies
        heads = _permuted_heads(tensor.name, config) if architecture == "llama" else 0
        yield names[tensor.name], partial(_dequantised, tensor, heads), done, total


class _Reader(gguf.GGUFReader):
    """Its file as a plain array: a slice of numpy's memmap takes three times as long, and the reader takes
    a few of every word of the vocabulary."""

    @property
    def data(self) -> Any:
        return self._plain

    @data.setter
    def data(self, mapped: Any) -> None:
        self._plain = np.asarray(mapped)


@contextmanager
def header_read_once() -> Iterator[None]:
    """transformers reads the header of a GGUF file for the configuration, and again for the tokenizer.

    With a vocabulary of 150,000 that takes seconds each time, and we need it as well: in this context a
    file that was read is not read again. transformers looks the reader up in the module when it is called.
    """
    reader = gguf.GGUFReader
    read = cache(_Reader)
    gguf.GGUFReader = lambda path: read(str(path))
    try:
        yield
    finally:
        gguf.GGUFReader = reader


def _dequantised(tensor: gguf.ReaderTensor, heads: int) -> torch.Tensor:
    """The values as `gguf.dequantize` makes them of the whole, rounded; `heads` as `_unpermuted` takes it."""
    data, kind = tensor.data, tensor.tensor_type
    if data.ndim < 2:
        return torch.tensor(gguf.dequantize(data, kind)).to(DTYPE)
    slabs = (data[at : at + SLAB_ROWS] for at in range(0, len(data), SLAB_ROWS))
    values = torch.cat([torch.tensor(gguf.dequantize(slab, kind)).to(DTYPE) for slab in slabs])
    return _unpermuted(values, heads) if heads else values


def _names(architecture: str, config: Any) -> dict[str, str]:
    """GGUF name -> transformers name, for every parameter of the model."""
    kind = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    table = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    found = {name: table.get_name(name, (".weight", ".bias")) for name, _ in model.named_parameters()}
    if missing := [name for name, other in found.items() if other is None]:
        raise WeightsError(f"No GGUF name is known for {missing[0]}.", "Give a folder of safetensors.")
    return {str(other): name for name, other in found.items()}


def _permuted_heads(name: str, config: Any) -> int:
    """How many heads llama.cpp has reordered in a tensor; it does so for Llama's q and k alone."""
    if ".attn_q." in name:
        return int(config.num_attention_heads)
    return int(config.num_key_value_heads) if ".attn_k." in name else 0


def _unpermuted(values: torch.Tensor, heads: int) -> torch.Tensor:
    """Undo llama.cpp's reordering of rotary dimensions."""
    half = values.shape[0] // heads // 2
    return values.reshape(heads, half, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
