"""The NF4 form: the same weights that transformers reads, and layers that compute the same product."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch


@pytest.fixture
def weight():
    from bitsandbytes.functional import quantize_4bit

    values = torch.randn(96, 256, generator=torch.manual_seed(0)) * 0.02
    return quantize_4bit(values.bfloat16(), blocksize=64, quant_type="nf4", compress_statistics=False)


def test_nibbles_are_put_where_the_kernel_wants_them(weight) -> None:
    import copy

    from bitsandbytes.functional import _convert_weight_packed_for_cpu

    from backtrail_model.host.linear import interleave

    packed, state = weight
    expected, _ = _convert_weight_packed_for_cpu(packed.clone(), copy.deepcopy(state))
    assert torch.equal(interleave(packed, 96, 256), expected)


@pytest.mark.parametrize("rows", [1, 2, 7, 23, 24, 200])
@pytest.mark.parametrize("with_bias", [False, True])
def test_each_way_gives_the_product(weight, rows: int, with_bias: bool) -> None:
    from bitsandbytes.functional import dequantize_4bit

    from backtrail_model.host.linear import Nf4Linear

    packed, state = weight
    bias = torch.linspace(-1, 1, 96).bfloat16() if with_bias else None
    x = torch.randn(1, rows, 256, generator=torch.manual_seed(1)).bfloat16()
    expected = torch.nn.functional.linear(
        x.float(), dequantize_4bit(packed, state).float(), None if bias is None else bias.float()
    )
    got = Nf4Linear(packed, state, bias)(x).float()
    assert got.shape == expected.shape
    assert (got - expected).abs().max() < 0.02


@pytest.mark.model
def test_transformers_reads_the_same_model(small_folder: Path, exact) -> None:
    from transformers import AutoModelForCausalLM

    ids = torch.tensor(
        [exact.tokenizer("def add(a, b):\n    return a", add_special_tokens=False)["input_ids"]]
    )
    theirs = AutoModelForCausalLM.from_pretrained(small_folder)
    with torch.inference_mode():
        expected, got = theirs(ids).logits.float(), exact.model(ids).logits
    assert torch.equal(expected.argmax(-1), got.argmax(-1))
    assert (expected - got).abs().mean() < 0.3  # theirs rounds to bfloat16 in each layer


@pytest.mark.model
def test_the_conversion_loses_no_more_than_four_bits_must(small_folder: Path, exact) -> None:
    """Against the published weights as transformers reads them from GGUF: names, order of rows, biases."""
    from transformers import AutoModelForCausalLM

    from backtrail_model import weights

    source = weights.fetch("smollm2-135m").path
    theirs = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    own = dict(exact.model.named_parameters())
    for name, value in theirs.named_parameters():
        spread = value.std().clamp(min=1e-3)
        assert (own[name] - value).abs().mean() < 0.12 * spread, name


@pytest.mark.model
def test_the_folder_is_complete_and_holds_only_data(small_folder: Path) -> None:
    names = {path.name for path in small_folder.iterdir()}
    assert {"config.json", "tokenizer.json", "chat_template.jinja", "backtrail.json"} <= names
    assert {path.suffix for path in small_folder.iterdir()} <= {".json", ".jinja", ".safetensors"}
    assert json.loads((small_folder / "backtrail.json").read_text())["model"] == "smollm2-135m"
