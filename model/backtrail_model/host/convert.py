"""Published weights → the NF4 form on disk, one tensor at a time.

The result is an ordinary transformers folder: safetensors in the layout of bitsandbytes' 4-bit weights,
config.json with the quantisation, the tokenizer with its chat template. transformers can read it
itself; `load.py` reads it faster.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.functional import quantize_4bit
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from backtrail_model.fetching.files import Progress, WeightsError
from backtrail_model.host import architecture, sources
from backtrail_model.host.architecture import Architecture
from backtrail_model.host.load import choose_form, load

SHARD_BYTES = 400 << 20
BLOCK = 64  # weights a scale
KEEP = torch.bfloat16
"""The type of what is not quantised: embeddings, norms, biases, the head."""


def convert(source: Path, target: Path, progress: Progress) -> None:
    """Fill the folder `target` with the NF4 form of `source`, a GGUF file or a folder of safetensors.

    Raises WeightsError if the architecture or the kind of file is not supported.
    """
    config, tokenizer = describe(source)
    linears = quantised_names(config)
    shards = Shards(target)
    for name, tensor, done, total in _ahead(sources.tensors(source, config)):
        shards.add(_quantised(name, tensor) if name in linears else {name: tensor.to(KEEP).contiguous()})
        progress("conversion", done, total)
    shards.close()
    _save_description(target, config, tokenizer)
    _prepare_kernel(target)


def describe(source: Path) -> tuple[Any, Any]:
    """The configuration and the tokenizer of a source; no code of a repository is ever run."""
    if source.is_file():
        place, options = source.parent, {"gguf_file": source.name}
    else:
        place, options = source, {}
    try:
        config = AutoConfig.from_pretrained(place, trust_remote_code=False, **options)
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False, **options)
    except (ValueError, OSError, KeyError) as error:
        raise WeightsError(
            f"{source} cannot be read: {error}", "Is it a whole GGUF or safetensors model?"
        ) from error
    return config, tokenizer


def quantised_names(config: Any) -> set[str]:
    """The weights that become NF4: all linear layers but the head, whose rounding errors show most."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    head = model.get_output_embeddings()
    linear = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    return {f"{name}.weight" for name, module in linear.items() if module is not head}


def _quantised(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """One weight [out, in] as bitsandbytes writes it: packed nibbles, scales, the code, the shape."""
    packed, state = quantize_4bit(
        tensor.to(KEEP), blocksize=BLOCK, quant_type="nf4", compress_statistics=False
    )
    parts = {f"{name}.{key}": value for key, value in state.as_dict(packed=True).items()}
    return {name: packed, **parts}


Item = tuple[str, torch.Tensor, int, int]


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, the next one made in a thread while this one is used."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(next, items, None)
        while (item := future.result()) is not None:
            future = pool.submit(next, items, None)
            yield item


class Shards:
    """Tensors gathered into safetensors files of bounded size, with the index that ties them together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, torch.Tensor] = {}
        self._map: dict[str, str] = {}
        self._count = 0
        self._bytes = 0

    def add(self, tensors: dict[str, torch.Tensor]) -> None:
        self._held.update(tensors)
        if sum(tensor.nbytes for tensor in self._held.values()) >= SHARD_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        index = {"metadata": {"total_size": self._bytes}, "weight_map": self._map}
        path = self._folder / "model.safetensors.index.json"
        path.write_text(json.dumps(index, indent=1), encoding="utf-8")

    def _flush(self) -> None:
        if not self._held:
            return
        self._count += 1
        name = f"model-{self._count:05}.safetensors"
        save_file(self._held, self._folder / name, metadata={"format": "pt"})
        self._map.update(dict.fromkeys(self._held, name))
        self._bytes += sum(tensor.nbytes for tensor in self._held.values())
        self._held = {}


def _prepare_kernel(target: Path) -> None:
    """Make what the CPU kernel needs (`store.py`) now: the first start has it, and checksums cover it."""
    form = choose_form()
    if form.device == "cpu" and form.nf4 and isinstance(architecture.read(target), Architecture):
        load(target, form)


def _save_description(target: Path, config: Any, tokenizer: Any) -> None:
    config.dtype = "bfloat16"
    config.quantization_config = {
        "quant_method": "bitsandbytes",
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": False,
        "bnb_4bit_compute_dtype": "bfloat16",
        "bnb_4bit_quant_storage": "uint8",
    }
    config.save_pretrained(target)
    tokenizer.save_pretrained(target)
    GenerationConfig.from_model_config(config).save_pretrained(target)
