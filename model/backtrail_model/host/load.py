"""The NF4 form on disk → a model ready to run, on a GPU or the CPU.

The skeleton is built without memory and the tensors are put in its place straight from the mapped
files, which is much faster than transformers' own loader and gives the same model.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from attrs import frozen
from bitsandbytes.functional import QuantState, dequantize_4bit
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from backtrail_model.fetching.files import WeightsError
from backtrail_model.host.linear import Nf4Linear, has_packed_kernel


@frozen
class Form:
    """In which form the model runs, and why."""

    device: str
    dtype: torch.dtype
    nf4: bool
    """Whether linear layers stay NF4 in memory; else they are expanded once."""
    reason: str


@frozen
class Loaded:
    """A model with its tokenizer; `context` in tokens."""

    name: str
    model: Any
    tokenizer: Any
    form: Form
    context: int
    seconds: float


def choose_form() -> Form:
    """The form that is fastest on this machine."""
    if torch.cuda.is_available():
        return Form("cuda", torch.bfloat16, True, f"GPU {torch.cuda.get_device_name()}")
    if has_packed_kernel():
        return Form(
            "cpu", torch.bfloat16, True, "no GPU; this CPU multiplies straight from NF4 (AVX512-BF16)"
        )
    return Form(
        "cpu", torch.float32, False, "no GPU, and no AVX512-BF16: NF4 is expanded to float32, which is slow"
    )


def load(folder: Path, form: Form | None = None) -> Loaded:
    """Load the NF4 form in `folder`. Raises WeightsError if files are missing."""
    started, form = time.perf_counter(), form or choose_form()
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    del config.quantization_config
    config.dtype = form.dtype
    with init_empty_weights(include_buffers=False):
        model = AutoModelForCausalLM.from_config(config, dtype=form.dtype, trust_remote_code=False)
    for file in _files(folder):
        _fill(model, file, form)
    model.tie_weights()
    _check_whole(model, folder)
    model.to(form.device).eval().requires_grad_(False)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    context = int(config.max_position_embeddings)
    return Loaded(_name(folder), model, tokenizer, form, context, time.perf_counter() - started)


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise WeightsError(
            f"{folder} holds no safetensors.", "Run `backtrail models remove` and `fetch` again."
        )
    return files


def _name(folder: Path) -> str:
    manifest = folder / "backtrail.json"
    return (
        str(json.loads(manifest.read_text(encoding="utf-8"))["model"]) if manifest.is_file() else folder.name
    )


def _fill(model: Any, file: Path, form: Form) -> None:
    """Put the tensors of one file in their places: packed weights as layers of ours, others as they are."""
    with safe_open(file, framework="pt", device=form.device) as archive:
        groups: dict[str, dict[str, str]] = defaultdict(dict)
        for key in archive.keys():  # noqa: SIM118 (not a mapping)
            name, _, part = key.partition(".weight.")
            groups[f"{name}.weight" if part else key][part] = key
        for name, parts in groups.items():
            tensors = {part: archive.get_tensor(key) for part, key in parts.items()}
            if len(parts) == 1:
                _put(model, name, torch.nn.Parameter(tensors[""].to(form.dtype), requires_grad=False))
            else:
                _put_linear(model, name.removesuffix(".weight"), tensors, form)


def _put(model: Any, name: str, value: torch.nn.Parameter) -> None:
    path, _, leaf = name.rpartition(".")
    module = model.get_submodule(path)
    setattr(module, leaf, value)


def _put_linear(model: Any, path: str, tensors: dict[str, torch.Tensor], form: Form) -> None:
    packed = tensors.pop("")
    state = QuantState.from_dict(tensors, device=packed.device)
    state.dtype = form.dtype
    old = model.get_submodule(path)
    if form.nf4:
        model.set_submodule(path, Nf4Linear(packed, state, old.bias))
    else:
        old.weight = torch.nn.Parameter(dequantize_4bit(packed, state), requires_grad=False)


def _check_whole(model: Any, folder: Path) -> None:
    empty = [name for name, value in model.named_parameters() if value.is_meta]
    if empty:
        raise WeightsError(f"{folder} lacks {empty[0]}.", "Run `backtrail models remove` and `fetch` again.")
