"""Published weights → the NF4 form on disk, a few tensors at a time.

The result is an ordinary transformers folder: safetensors in the layout of bitsandbytes' 4-bit weights,
config.json with the quantisation, the tokenizer with its chat template. transformers can read it
itself; `load.py` reads it faster.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from backtrail_model.fetching.files import Progress, WeightsError
from backtrail_model.host import architecture, sources
from backtrail_model.host.architecture import Architecture
from backtrail_model.host.load import choose_form, load
from backtrail_model.host.quantised import nf4

SHARD_BYTES = 400 << 20


def convert(source: Path, target: Path, progress: Progress) -> None:
    """Fill the folder `target` with the NF4 form of `source`, a GGUF file or a folder of safetensors.

    Raises WeightsError if the architecture or the kind of file is not supported.
    """
    with sources.header_read_once():
        config, tokenizer = describe(source)
        model = skeleton(config)
        config.architectures = [type(model).__name__]  # which a GGUF file does not tell, and servers ask for
        linears = quantised_names(model)
        shards = Shards(target)
        for tensors, done, total in _made(sources.tensors(source, config), linears):
            shards.add(tensors)
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


def skeleton(config: Any) -> Any:
    """transformers' model of this configuration, without memory."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def quantised_names(model: Any) -> set[str]:
    """The weights that become NF4: all linear layers but the head, whose rounding errors show most."""
    head = model.get_output_embeddings()
    linear = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    return {f"{name}.weight" for name, module in linear.items() if module is not head}


def _quantised(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """One weight [out, in] as bitsandbytes writes it: packed nibbles, scales, the code, the shape."""
    packed, state = nf4(tensor)
    parts = {f"{name}.{key}": value for key, value in state.as_dict(packed=True).items()}
    return {name: packed, **parts}


Tensors = dict[str, torch.Tensor]


def _made(items: Iterator[sources.Item], linears: set[str]) -> Iterator[tuple[Tensors, int, int]]:
    """What goes into the files, in order: a tensor a core at a time, each in one thread.

    Torch's own threads would meet after every slab of a tensor, which costs more than the slab.
    """
    count = torch.get_num_threads()
    torch.set_num_threads(1)  # of each thread that is started from here on
    try:
        with ThreadPoolExecutor(count) as pool:
            waiting: deque[tuple[Future[Tensors], int, int]] = deque()
            for name, make, done, total in items:
                waiting.append((pool.submit(_tensors, name, make, name in linears), done, total))
                if len(waiting) > count:
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
    finally:
        torch.set_num_threads(count)


def _first(waiting: deque[tuple[Future[Tensors], int, int]]) -> tuple[Tensors, int, int]:
    future, done, total = waiting.popleft()
    return future.result(), done, total


def _tensors(name: str, make: Callable[[], torch.Tensor], linear: bool) -> Tensors:
    tensor = make()
    return _quantised(name, tensor) if linear else {name: tensor.contiguous()}


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
