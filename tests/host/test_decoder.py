"""Our forward pass against transformers' own, on small models of each architecture with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

SIZES = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
}


def theirs_and_config(kind: str, **more: Any) -> tuple[Any, dict[str, Any]]:
    """transformers' model with random weights, and its config.json."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **SIZES, **more)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms too, so that none can be forgotten
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model, json.loads(config.to_json_string(use_diff=False))


def ours(theirs: Any, config: dict[str, Any]) -> Any:
    from backtrail_model.host.architecture import Architecture, parse
    from backtrail_model.host.decoder import Decoder
    from backtrail_model.host.head import FullHead
    from backtrail_model.host.linear import DenseLinear

    known = parse(config)
    assert isinstance(known, Architecture), known
    tensors = dict(theirs.state_dict())

    def linear(names: Any) -> DenseLinear:
        biases = [tensors[f"{name}.bias"] for name in names if f"{name}.bias" in tensors]
        return DenseLinear(
            [tensors[f"{name}.weight"] for name in names], torch.cat(biases) if biases else None
        )

    head = FullHead(tensors["model.embed_tokens.weight" if known.tied else "lm_head.weight"])
    return Decoder(known, tensors, linear, head)


def hidden(model: Any, ids: list[list[int]], cache: Any) -> torch.Tensor:
    from backtrail_model.host.generate import whole

    return whole(model.passing(torch.tensor(ids), cache))


IDS = [3, 14, 15, 92, 65, 35, 89, 79, 32, 38, 46, 26]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_the_logits_are_those_of_transformers(kind: str, tied: bool) -> None:
    more = {"head_dim": 32} if kind == "qwen3" else {}
    theirs, config = theirs_and_config(kind, tie_word_embeddings=tied, **more)
    model = ours(theirs, config)
    with torch.inference_mode():
        expected = theirs(torch.tensor([IDS])).logits[0]
        got = model.logits(hidden(model, [IDS], model.empty_cache())[0])
    assert torch.allclose(got, expected, atol=1e-4)


def test_a_text_may_come_in_any_pieces() -> None:
    model = ours(*theirs_and_config("qwen2"))
    with torch.inference_mode():
        expected = hidden(model, [IDS], model.empty_cache())
        cache = model.empty_cache()
        got = torch.cat([hidden(model, [part], cache) for part in (IDS[:5], IDS[5:6], IDS[6:9], IDS[9:])], 1)
    assert torch.allclose(got, expected, atol=1e-5)


def test_rows_of_different_lengths_do_not_see_each_other() -> None:
    from backtrail_model.host.cache import side_by_side

    model = ours(*theirs_and_config("qwen2"))
    texts = [IDS, IDS[4:9], IDS[1:4]]
    with torch.inference_mode():
        alone, caches = [], []
        for text in texts:
            cache = model.empty_cache()
            hidden(model, [text], cache)
            caches.append(cache.prefix(cache.length))
            alone.append(hidden(model, [[7, 8]], cache))
        together = side_by_side(caches)
        got = torch.cat([hidden(model, [[7]] * 3, together), hidden(model, [[8]] * 3, together)], dim=1)
        fewer = together.select([2, 0])
        after = hidden(model, [[9], [9]], fewer)
    assert torch.allclose(got, torch.cat(alone), atol=1e-5)
    assert after.shape == (2, 1, 64) and fewer.rows == 2


def test_a_pass_that_is_left_off_leaves_no_trace() -> None:
    model = ours(*theirs_and_config("llama"))
    with torch.inference_mode():
        cache = model.empty_cache()
        hidden(model, [IDS[:6]], cache)
        dropped = model.passing(torch.tensor([[1, 2, 3]]), cache)
        next(dropped)
        dropped.close()
        assert cache.length == 6
        got = hidden(model, [IDS[6:]], cache)
        expected = hidden(model, [IDS], model.empty_cache())[:, 6:]
    assert torch.allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "gpt_neox"},
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5}},
        {"hidden_act": "gelu"},
        {"use_sliding_window": True},
        {"mlp_bias": True},
    ],
)
def test_what_it_cannot_compute_is_left_to_transformers(change: dict[str, Any]) -> None:
    from backtrail_model.host.architecture import Architecture, parse

    _, config = theirs_and_config("llama")
    assert isinstance(parse(config), Architecture)
    assert "left to transformers" in str(parse(config | change))


@pytest.mark.model
def test_the_fallback_computes_the_same(small_folder: Path, exact: Any, tmp_path: Path) -> None:
    """The same weights, with a config.json that our decoder refuses."""
    from backtrail_model.host.fallback import TransformersModel
    from backtrail_model.host.load import load
    from tests.host.test_lane import lane_of, run

    for file in small_folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    config = json.loads((small_folder / "config.json").read_text())
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").write_text(json.dumps(config | {"partial_rotary_factor": 0.999}))
    other = load(tmp_path, exact.form)
    assert isinstance(other.model, TransformersModel)
    ids = exact.tokenizer("def add(a, b):\n    return a", add_special_tokens=False)["input_ids"]
    assert run(lane_of(other), ids) == run(lane_of(exact), ids)


@pytest.mark.model
@pytest.mark.parametrize("text", ["def f(x):\n    return x\n", "a <|im_end|> b", "ü 漢字 🙂", ""])
def test_the_tokenizer_is_that_of_transformers(small_folder: Path, exact: Any, text: str) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(small_folder)
    for split in (False, True):
        options = {"add_special_tokens": False, "split_special_tokens": split}
        ids = exact.tokenizer(text, **options)["input_ids"]
        assert ids == theirs(text, **options)["input_ids"]
    messages = [{"role": "user", "content": text}]
    expected = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert exact.tokenizer.apply_chat_template(messages) == expected
    assert exact.tokenizer.get_vocab() == theirs.get_vocab()
