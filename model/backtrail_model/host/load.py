"""The NF4 form on disk → a model ready to run, on a GPU or the CPU.

Tensors stay in the mapped files until they are used. The usual architectures are computed by
`decoder.py`; for others transformers builds an empty model and the tensors are put in their places.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from safetensors import safe_open

from backtrail_model.fetching.files import WeightsError
from backtrail_model.host import architecture, compiled, head, integer, kernels
from backtrail_model.host.adapter import Adapter
from backtrail_model.host.architecture import Architecture
from backtrail_model.host.heap import give_back
from backtrail_model.host.linear import DenseLinear, Nf4Weight, nf4_linear
from backtrail_model.host.store import Store

Tensors = Mapping[str, torch.Tensor | Nf4Weight]
WIDE = ("model.embed_tokens.weight", "lm_head.weight")


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
    return cpu_form("no GPU")


def cpu_form(why: str) -> Form:
    """The form that is fastest on this machine's CPU; `why` it is not the GPU."""
    if kernels.multiplies_packed():
        reason = f"{why}; this CPU multiplies straight from NF4 (AVX512-BF16)"
        return Form("cpu", torch.bfloat16, True, reason)
    missing = compiled.library()
    if not isinstance(missing, str):
        return Form("cpu", torch.float32, True, f"{why}; this CPU multiplies NF4 as bytes (AVX2)")
    reason = f"{why}, no AVX512-BF16, and {missing}: NF4 is expanded to float32, which is slow"
    return Form("cpu", torch.float32, False, reason)


def load(folder: Path, form: Form | None = None, adapter: Path | None = None) -> Loaded:
    """Load the NF4 form in `folder`, with an adapter laid over it if one is given.

    Raises WeightsError if files or tensors are missing, or the adapter is none or of another model.
    """
    started, form = time.perf_counter(), form or choose_form()
    known = architecture.read(folder)
    found = tensors(folder, form)
    laid = Adapter.read(adapter, form.device, form.dtype) if adapter else Adapter("", {})
    laid.check_used([name.removesuffix(".weight") for name in found])
    try:
        with torch.inference_mode():
            model = (
                _decoder(folder, known, found, form, laid)
                if isinstance(known, Architecture)
                else _of_transformers(folder, found, form, laid)
            )
    except KeyError as error:
        raise _incomplete(folder, str(error.args[0])) from error
    context = known.context if isinstance(known, Architecture) else int(model.config.max_position_embeddings)
    tokenizer = _tokenizer(folder)
    give_back()
    name = f"{_name(folder)}+{laid.name}" if laid.name else _name(folder)
    return Loaded(name, model, tokenizer, form, context, time.perf_counter() - started)


def _decoder(folder: Path, known: Architecture, tensors: Tensors, form: Form, laid: Adapter) -> Any:
    from backtrail_model.host.captured import Captured, cuda_graphs
    from backtrail_model.host.decoder import Decoder

    plain = {name: value for name, value in tensors.items() if isinstance(value, torch.Tensor)}
    store = Store(folder)
    decoder = Decoder(known, plain, _layers_of(tensors, form, store, laid), _head(known, plain, form, store))
    store.save()
    return Captured(decoder, cuda_graphs()) if form.device == "cuda" else decoder


def _layers_of(
    tensors: Tensors, form: Form, store: Store, laid: Adapter
) -> Callable[[Sequence[str]], torch.nn.Module]:
    """What makes a layer of named weights, one under the other, with the adapter's part."""

    def make(names: Sequence[str]) -> torch.nn.Module:
        weights = [tensors[f"{name}.weight"] for name in names]
        biases = [tensors.get(f"{name}.bias") for name in names]
        bias = torch.cat(biases) if all(isinstance(bias, torch.Tensor) for bias in biases) else None
        packed = [weight for weight in weights if isinstance(weight, Nf4Weight)]
        if len(packed) < len(weights):
            dense = [weight for weight in weights if isinstance(weight, torch.Tensor)]
            return laid.over(names, DenseLinear(dense, bias), [len(weight) for weight in dense])
        sizes = [weight.rows for weight in packed]
        name, shape = "+".join(names), (sum(sizes), packed[0].columns)
        kept = partial(store.get, name, shape)
        return laid.over(names, nf4_linear(packed, bias, form.dtype, keep=form.nf4, store=kept), sizes)

    return make


def _head(known: Architecture, tensors: Mapping[str, torch.Tensor], form: Form, store: Store) -> head.Head:
    weight = tensors["model.embed_tokens.weight" if known.tied else "lm_head.weight"]
    rows, columns = weight.shape
    if form.device == "cpu" and form.nf4:
        if form.dtype == torch.bfloat16 and kernels.multiplies(rows, columns):
            return head.ShortlistHead(weight, head.packed(weight, store))
        if form.dtype == torch.float32 and columns % integer.BLOCK == 0:
            return head.ShortlistHead(weight, head.in_bytes(weight, store))
    return head.FullHead(weight.to(form.dtype))


def tensors(folder: Path, form: Form) -> Tensors:
    """All tensors by transformers' names: packed weights as such, others in the form's type."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise WeightsError(
            f"{folder} holds no safetensors.", "Run `backtrail models remove` and `fetch` again."
        )
    found: dict[str, torch.Tensor | Nf4Weight] = {}
    for file in files:
        with safe_open(file, framework="pt", device=form.device) as archive:
            groups: dict[str, dict[str, torch.Tensor]] = defaultdict(dict)
            for key in archive.keys():  # noqa: SIM118 (not a mapping)
                name, _, part = key.partition(".weight.")
                groups[f"{name}.weight" if part else key][part] = archive.get_tensor(key)
        for name, parts in groups.items():
            found[name] = _plain(name, parts[""], form) if len(parts) == 1 else _packed(parts)
    return found


def _plain(name: str, tensor: torch.Tensor, form: Form) -> torch.Tensor:
    """In the form's type; embeddings and head, of which a step needs few rows, stay mapped as they are."""
    return tensor if form.nf4 and name in WIDE else tensor.to(form.dtype)


def _packed(parts: dict[str, torch.Tensor]) -> Nf4Weight:
    """A weight from the tensors in which bitsandbytes stores it; its sizes are JSON in one of them."""
    described = json.loads(bytes(parts["quant_state.bitsandbytes__nf4"].cpu().tolist()))
    rows, columns = described["shape"]
    return Nf4Weight(
        parts[""].view(-1), parts["absmax"], parts["quant_map"], rows, columns, int(described["blocksize"])
    )


def _tokenizer(folder: Path) -> Any:
    """The tokenizer; transformers reads those that have no tokenizer.json."""
    if (folder / "tokenizer.json").is_file() and (folder / "tokenizer_config.json").is_file():
        from backtrail_model.host.tokens import FastTokenizer

        return FastTokenizer(folder)
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def _name(folder: Path) -> str:
    manifest = folder / "backtrail.json"
    return (
        str(json.loads(manifest.read_text(encoding="utf-8"))["model"]) if manifest.is_file() else folder.name
    )


def _incomplete(folder: Path, name: str) -> WeightsError:
    return WeightsError(f"{folder} lacks {name}.", "Run `backtrail models remove` and `fetch` again.")


def _of_transformers(folder: Path, tensors: Tensors, form: Form, laid: Adapter) -> Any:
    """The model by transformers: a skeleton without memory, our layers and tensors in its places."""
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    from backtrail_model.host.fallback import TransformersModel

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    del config.quantization_config
    config.dtype = form.dtype
    with init_empty_weights(include_buffers=False):
        model = AutoModelForCausalLM.from_config(config, dtype=form.dtype, trust_remote_code=False)
    for name, value in tensors.items():
        path, _, leaf = name.rpartition(".")
        if isinstance(value, Nf4Weight):
            bias = tensors.get(f"{path}.bias")
            layer = nf4_linear(
                [value], bias if isinstance(bias, torch.Tensor) else None, form.dtype, keep=form.nf4
            )
            model.set_submodule(path, laid.over([path], layer, [value.rows]))
        elif f"{path}.weight" == name or not isinstance(tensors.get(f"{path}.weight"), Nf4Weight):
            setattr(
                model.get_submodule(path),
                leaf,
                torch.nn.Parameter(value.to(form.dtype), requires_grad=False),
            )
    model.tie_weights()
    if empty := [name for name, value in model.named_parameters() if value.is_meta]:
        raise _incomplete(folder, empty[0])
    return TransformersModel(model.to(form.device).eval().requires_grad_(False))
