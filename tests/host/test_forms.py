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


@pytest.mark.parametrize("rows, columns", [(3, 64), (700, 1536), (5, 96)])
def test_weights_are_quantised_bit_for_bit_as_by_bitsandbytes(rows: int, columns: int) -> None:
    from bitsandbytes.functional import quantize_4bit

    from backtrail_model.host.quantised import nf4

    values = (torch.randn(rows, columns, generator=torch.manual_seed(1)) * 0.02).bfloat16()
    values[0] = 0  # blocks without a scale
    values[1] = values[1].sign()  # the ends of the code
    values[2, ::2] = 1.0
    values[2, 1::2] = torch.tensor(-0.5251 / 2 - 0.3949 / 2)  # near a bound
    packed, state = nf4(values)
    expected, its = quantize_4bit(values, blocksize=64, quant_type="nf4", compress_statistics=False)
    assert torch.equal(packed, expected) and torch.equal(state.absmax, its.absmax)
    mine, theirs = state.as_dict(packed=True), its.as_dict(packed=True)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)


def test_nibbles_are_put_where_the_kernel_wants_them(weight) -> None:
    import copy

    from bitsandbytes.functional import _convert_weight_packed_for_cpu

    from backtrail_model.host.linear import interleave

    packed, state = weight
    expected, _ = _convert_weight_packed_for_cpu(packed.clone(), copy.deepcopy(state))
    assert torch.equal(interleave(packed, 96, 256), expected)


@pytest.fixture
def parts(weight):
    """Two weights of the same input, as a layer of ours takes them, and the two dense, one over the other."""
    from bitsandbytes.functional import dequantize_4bit

    from backtrail_model.host.linear import Nf4Weight

    packed, state = weight
    part = Nf4Weight(packed.view(-1), state.absmax, state.code, 96, 256)
    return [part, part], torch.cat([dequantize_4bit(packed, state).float()] * 2)


@pytest.mark.parametrize("way", ["packed", "dense", "device", "expanded"])
@pytest.mark.parametrize("rows", [1, 2, 7, 23, 24, 200])
@pytest.mark.parametrize("with_bias", [False, True])
def test_each_way_gives_the_product(parts, way: str, rows: int, with_bias: bool) -> None:
    from backtrail_model.host import kernels
    from backtrail_model.host.linear import DeviceLinear, PackedLinear, nf4_linear

    if way in ("packed", "dense") and not kernels.multiplies_packed():
        pytest.skip("this CPU has no AVX512-BF16, or bitsandbytes' library is not there")
    weights, dense = parts
    bias = torch.linspace(-1, 1, 192).bfloat16() if with_bias else None
    x = torch.randn(1, rows, 256, generator=torch.manual_seed(1)).bfloat16()
    if way == "device":
        got = DeviceLinear(weights, bias, torch.bfloat16)(x)
    elif way == "expanded":
        got = nf4_linear(weights, bias, torch.bfloat16, keep=False)(x)
    else:
        layer = PackedLinear(weights, bias)
        got = (layer.multiply_packed if way == "packed" else layer.multiply_dense)(x)
    expected = torch.nn.functional.linear(x.float(), dense, None if bias is None else bias.float())
    assert got.shape == expected.shape
    assert (got.float() - expected).abs().max() < 0.02


@pytest.mark.parametrize("kernel", ["packed", "bytes"])
def test_the_head_is_exact_where_it_matters(kernel: str, tmp_path: Path) -> None:
    """Against the whole product: the best token, and the logits of the likeliest."""
    from backtrail_model.host import compiled, head, kernels
    from backtrail_model.host.store import Store

    if kernel == "packed" and not kernels.multiplies_packed():
        pytest.skip("this CPU has no AVX512-BF16, or bitsandbytes' library is not there")
    if kernel == "bytes" and isinstance(why := compiled.library(), str):
        pytest.skip(why)
    generator = torch.manual_seed(2)
    weight = torch.randn(4096, 256, generator=generator).bfloat16()
    hidden = torch.randn(64, 256, generator=generator).bfloat16()
    expected = hidden.float() @ weight.float().T
    if kernel == "packed":
        short = head.ShortlistHead(weight, head.packed(weight, Store(tmp_path)))
    else:
        short, hidden = head.ShortlistHead(weight, head.in_bytes(weight, Store(tmp_path))), hidden.float()
    got = short(hidden)
    assert torch.equal(got.argmax(-1), expected.argmax(-1))
    best = expected.topk(5, dim=-1).indices
    assert (got.gather(-1, best) - expected.gather(-1, best)).abs().max() < 1e-2
    assert not torch.equal(
        short.approximate(hidden).argmax(-1), expected.argmax(-1)
    )  # so it took the second look


def test_what_the_kernel_needs_is_made_once(tmp_path: Path) -> None:
    from backtrail_model.host.store import FILE, Packed, Store

    made = Packed(torch.arange(64, dtype=torch.uint8).view(2, 32), torch.ones(1, 2, dtype=torch.bfloat16))
    first = Store(tmp_path)
    first.get("layer", (2, 64), lambda: made)
    first.save()
    again = Store(tmp_path).get("layer", (2, 64), lambda: pytest.fail("it was kept"))
    assert torch.equal(again.nibbles, made.nibbles) and torch.equal(again.scales, made.scales)
    assert Store(tmp_path).get("layer", (4, 64), lambda: made) is made  # kept for another shape
    (tmp_path / FILE).write_bytes(b"half a file")
    assert Store(tmp_path).get("layer", (2, 64), lambda: made) is made
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.model
def test_transformers_reads_the_same_model(small_folder: Path, small, exact) -> None:
    from transformers import AutoModelForCausalLM

    ids = torch.tensor(
        [exact.tokenizer("def add(a, b):\n    return a", add_special_tokens=False)["input_ids"]]
    )
    theirs = AutoModelForCausalLM.from_pretrained(small_folder)
    with torch.inference_mode():
        expected = theirs(ids).logits[0].float()
        got, quick = all_logits(exact.model, ids), all_logits(small.model, ids)
    best = got.topk(2).values
    clear = best[:, 0] - best[:, 1] > 0.5  # the others may fall either way: theirs rounds as it goes
    assert clear.sum() >= 4
    assert torch.equal(expected.argmax(-1)[clear], got.argmax(-1)[clear])
    assert torch.equal(expected.argmax(-1)[clear], quick.argmax(-1)[clear])
    assert (expected - got).abs().mean() < 0.3  # theirs rounds to bfloat16 in each layer


def all_logits(model, ids: torch.Tensor) -> torch.Tensor:
    """Logits [tokens, vocabulary] at each place of one row."""
    from backtrail_model.host.generate import whole

    return model.logits(whole(model.passing(ids, model.empty_cache()))[0])


@pytest.mark.model
def test_the_conversion_loses_no_more_than_four_bits_must(small_folder: Path, exact) -> None:
    """Against the published weights as transformers reads them from GGUF: names, order of rows, biases."""
    from transformers import AutoModelForCausalLM

    from backtrail_model import weights
    from backtrail_model.host.linear import Nf4Weight
    from backtrail_model.host.load import tensors

    source = weights.fetch("smollm2-135m").path
    theirs = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    own = tensors(small_folder, exact.form)
    for name, value in theirs.named_parameters():
        spread, ours = value.std().clamp(min=1e-3), own[name]
        if isinstance(ours, Nf4Weight):
            ours = ours.expand(0, ours.rows, torch.float32)
        assert (ours - value).abs().mean() < 0.12 * spread, name


@pytest.mark.model
def test_the_folder_is_complete_and_holds_only_data(small_folder: Path) -> None:
    names = {path.name for path in small_folder.iterdir()}
    assert {"config.json", "tokenizer.json", "chat_template.jinja", "backtrail.json"} <= names
    assert {path.suffix for path in small_folder.iterdir()} <= {".json", ".jinja", ".safetensors", ".nf4"}
    assert json.loads((small_folder / "backtrail.json").read_text())["model"] == "smollm2-135m"
