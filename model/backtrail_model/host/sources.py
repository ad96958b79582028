"""The tensors of published weights, one at a time, under the names that transformers uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from backtrail_model.fetching.files import WeightsError

Item = tuple[str, torch.Tensor, int, int]
"""A tensor's name and value, and how many bytes of the source are done, of how many."""

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
                tensor = archive.get_tensor(name)
                done += tensor.nbytes
                yield name, tensor, done, total


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
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        if architecture == "llama":
            values = _unpermuted(tensor.name, values, config)
        yield names[tensor.name], torch.from_numpy(np.require(values, requirements=("C", "W"))), done, total


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


def _unpermuted(name: str, values: np.ndarray[Any, Any], config: Any) -> np.ndarray[Any, Any]:
    """Undo llama.cpp's reordering of rotary dimensions, which it applies to Llama's q and k alone."""
    if ".attn_q." in name:
        heads = config.num_attention_heads
    elif ".attn_k." in name:
        heads = config.num_key_value_heads
    else:
        return values
    half = values.shape[0] // heads // 2
    return values.reshape(heads, half, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
