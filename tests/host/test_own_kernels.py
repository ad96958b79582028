"""Our own kernels for processors with AVX2: the right product, and the same bits alone and in company."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from backtrail_model.host import compiled
from backtrail_model.host.attention import Attention, attention
from backtrail_model.host.linear import Nf4Weight


@pytest.fixture(scope="module")
def library():
    if isinstance(found := compiled.library(), str):
        pytest.skip(found)
    return found


def weight(rows: int, columns: int, seed: int = 0) -> Nf4Weight:
    from backtrail_model.host.quantised import nf4

    values = torch.randn(rows, columns, generator=torch.manual_seed(seed)) * 0.02
    packed, state = nf4(values.bfloat16())
    return Nf4Weight(packed.view(-1), state.absmax, state.code, rows, columns)


@pytest.mark.parametrize("columns", [64, 576, 1536, 8960])
@pytest.mark.parametrize("tokens", [1, 3, 8, 9, 41])
@pytest.mark.parametrize("with_bias", [False, True])
def test_the_product_is_that_of_the_expanded_weights(library, columns, tokens, with_bias) -> None:
    from backtrail_model.host.integer import IntegerLinear

    parts = [weight(rows, columns, seed=rows) for rows in (33, 7, 64)]
    bias = torch.linspace(-1, 1, 104) if with_bias else None
    x = torch.randn(1, tokens, columns, generator=torch.manual_seed(1))
    dense = torch.cat([part.expand(0, part.rows, torch.float32) for part in parts])
    expected = torch.nn.functional.linear(x, dense, bias)
    got = IntegerLinear(parts, bias)(x)
    assert got.shape == expected.shape
    assert (got - expected).norm() < 0.02 * expected.norm()


def test_a_token_has_the_same_bits_whatever_is_computed_beside_it(library) -> None:
    from backtrail_model.host.integer import IntegerLinear

    layer = IntegerLinear([weight(50, 4864)])
    x = torch.randn(40, 4864, generator=torch.manual_seed(2))
    whole = layer(x)
    for at in (0, 13):
        for count in range(1, 18):
            assert torch.equal(layer(x[at : at + count]), whole[at : at + count]), (at, count)


def test_outliers_and_zeros(library) -> None:
    """The largest bytes there are, a block of zeros, and inputs too small for a scale."""
    from backtrail_model.host.integer import IntegerLinear

    part = weight(8, 128)
    part.packed[:] = 0xFF  # the largest value of NF4
    part.scales[:] = 1.0
    x = torch.ones(4, 128)
    x[1], x[2], x[3, :64] = -1.0, 0.0, 1e-35
    got = IntegerLinear([part])(x)
    assert torch.allclose(got[:, 0], torch.tensor([128.0, -128.0, 0.0, 64.0]))


@pytest.mark.parametrize("heads, kv_heads, size", [(12, 2, 128), (9, 3, 64), (4, 4, 24)])
def test_attention_is_that_of_torch(library, heads: int, kv_heads: int, size: int) -> None:
    from torch.nn.functional import scaled_dot_product_attention

    generator = torch.manual_seed(3)
    queries = torch.randn(2, heads, 5, size, generator=generator)
    keys, values = torch.randn(2, 2, kv_heads, 70, size, generator=generator)
    pads, columns = torch.tensor([0, 9]), torch.arange(70)
    seen = columns <= torch.arange(65, 70)[:, None]
    mask = seen[None, None] & (columns >= pads[:, None])[:, None, None]
    expected = scaled_dot_product_attention(queries, keys, values, attn_mask=mask, enable_gqa=True)
    got = Attention(library)(queries, keys, values, pads)
    assert torch.allclose(got, expected.transpose(1, 2).reshape(2, 5, -1), atol=1e-5)


def test_attention_of_a_token_has_the_same_bits_alone(library) -> None:
    generator = torch.manual_seed(4)
    attend = Attention(library)
    queries = torch.randn(1, 4, 30, 64, generator=generator)
    keys, values = torch.randn(2, 1, 2, 50, 64, generator=generator)
    whole = attend(queries, keys, values, None)
    for at in (0, 7, 29):
        end = 20 + at + 1
        alone = attend(queries[:, :, at : at + 1], keys[:, :, :end], values[:, :, :end], None)
        assert torch.equal(alone[:, 0], whole[:, at])


def test_other_devices_types_and_sizes_are_left_to_torch() -> None:
    cpu = torch.device("cpu")
    assert attention(torch.device("meta"), torch.float32, 64) is None
    assert attention(cpu, torch.bfloat16, 64) is None
    assert attention(cpu, torch.float32, 20) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the compilers' names are a matter of the system")
@pytest.mark.parametrize("broken", [False, True])
def test_without_a_compiler_the_reason_is_told(tmp_path: Path, broken: bool) -> None:
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        pytest.skip("this processor has no AVX2")
    if broken:
        (tmp_path / "cc").write_text("#!/bin/sh\necho 'nf4.c: no such header' >&2; exit 1\n")
        (tmp_path / "cc").chmod(0o755)
    script = "from backtrail_model.host import compiled; print(compiled.library())"
    environment = {**os.environ, "PATH": str(tmp_path), "BACKTRAIL_CACHE": str(tmp_path / "cache")}
    environment.pop("CC", None)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ("no such header" if broken else "there is no C compiler") in done.stdout
    assert not list(tmp_path.rglob("*.so"))


@pytest.mark.model
def test_a_model_gives_the_same_bits_however_its_text_is_cut(library, small) -> None:
    """Prompts read whole, from the cache, in a batch or behind a draft: each token is the same."""
    from backtrail_model.host.passing import whole

    if small.form.dtype != torch.float32:
        pytest.skip("this machine takes another form")
    ids = small.tokenizer("def add(a, b):\n    return a + b\n" * 6)["input_ids"]
    with torch.inference_mode():
        together = small.model.passing(torch.tensor([ids]), cache := small.model.empty_cache())
        expected = small.model.logits(whole(together)[0])
        other, at = small.model.empty_cache(), 0
        for size in (20, 1, 1, 5, 8, len(ids) - 35):
            part = whole(small.model.passing(torch.tensor([ids[at : at + size]]), other))
            assert torch.equal(small.model.logits(part[0]), expected[at : at + size]), (at, size)
            at += size
        batch = cache.prefix(30).select([0, 0, 0])
        rows = whole(small.model.passing(torch.tensor([[ids[30]]] * 3), batch))[:, 0]
        assert all(torch.equal(row, expected[30]) for row in small.model.logits(rows))
