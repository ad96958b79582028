"""QLoRA on the small model, end to end: fixes in, loss down, and the host serves the adapter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backtrail_model import weights
from backtrail_model.tune.kept import Kept
from backtrail_model.tune.triples import Triple
from tests.study import data

pytest.importorskip("peft")

NUMBERS = ("one", "two", "three", "four", "five", "six")
FIXES = [
    Triple(
        f"made-{name}",
        f"def {name}(x):\n    return x - {at}\n",
        f"expected {at + 1}, got {1 - at}",
        f"def {name}(x):\n    return x + {at}\n",
        "own",
    )
    for at, name in enumerate(NUMBERS, 1)
]
"""One rule that is easy to learn: the minus becomes a plus."""


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that the command made of a person's own fixes."""
    folder = tmp_path_factory.mktemp("tuned")
    kept = Kept(folder / "data")
    for fix in FIXES:
        kept.add(fix)
    out = folder / "adapter"
    recipe = ["--steps", "12", "--batch", "1", "--rank", "4", "--learning-rate", "0.001", "--hold-out", "0.2"]
    done = subprocess.run(
        [sys.executable, "-m", "backtrail_server", "tune", "--own", "--out", str(out), *recipe],
        env={**_environ(), "BACKTRAIL_DATA": str(kept.folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return out


def _environ() -> dict[str, str]:
    import os

    return dict(os.environ)


@pytest.mark.model
@pytest.mark.long
def test_the_loss_goes_down_on_what_is_learnt_and_on_what_is_not(adapter: Path) -> None:
    note = json.loads((adapter / "backtrail-tune.json").read_text(encoding="utf-8"))
    losses = note["losses"]
    assert len(losses) == 12 and len(note["learnt"]) == 5 and len(note["held"]) == 1
    assert sum(losses[-3:]) < 0.5 * sum(losses[:3])
    assert note["held_after"] < note["held_before"]


@pytest.mark.model
@pytest.mark.long
def test_the_adapter_holds_no_pickle_and_nothing_of_the_base(adapter: Path) -> None:
    files = {path.name: path.stat().st_size for path in adapter.iterdir()}
    assert files["adapter_model.safetensors"] < 20_000_000
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl"))]


@pytest.mark.model
@pytest.mark.long
def test_the_host_computes_what_was_trained(adapter: Path) -> None:
    """The answer that was learnt is likelier with the adapter than without, and near what peft computes."""
    base = weights.prepare("smollm2-135m")
    fix = FIXES[0]
    plain, adapted = (_loss(base, laid, fix) for laid in (None, adapter))
    assert adapted < 0.8 * plain
    assert adapted == pytest.approx(_loss_by_peft(base, adapter, fix), rel=0.1)


@pytest.mark.model
@pytest.mark.long
def test_an_adapter_of_another_model_is_refused(adapter: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from backtrail_model.host.load import load

    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    tensors = load_file(adapter / "adapter_model.safetensors")
    other = {name.replace("layers.0.", "layers.99."): value for name, value in tensors.items()}
    save_file(other, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(weights.WeightsError, match="for another model"):
        load(weights.prepare("smollm2-135m"), adapter=tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}), encoding="utf-8")
    with pytest.raises(weights.WeightsError, match="use_dora"):
        load(weights.prepare("smollm2-135m"), adapter=tmp_path)


def _example(base: Path, fix: Triple) -> tuple[list[int], list[int]]:
    from transformers import AutoTokenizer

    from backtrail_model.tune.examples import examples

    made = examples([fix], AutoTokenizer.from_pretrained(base), 2048)[0]
    return made.ids, made.labels


def _loss(base: Path, adapter: Path | None, fix: Triple) -> float:
    """By the host's own forward pass."""
    import torch
    from torch.nn.functional import cross_entropy

    from backtrail_model.host.load import load

    ids, labels = _example(base, fix)
    model = load(base, adapter=adapter).model
    with torch.inference_mode():
        passing = model.passing(torch.tensor([ids]), model.empty_cache())
        while True:
            try:
                next(passing)
            except StopIteration as end:
                logits = model.logits(end.value[0])
                return float(cross_entropy(logits[:-1].float(), torch.tensor(labels[1:])))


def _loss_by_peft(base: Path, adapter: Path, fix: Triple) -> float:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ids, labels = _example(base, fix)
    model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16), adapter
    )
    with torch.inference_mode():
        return float(model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss)


async def test_a_data_set_gives_triples_with_the_facts_of_its_failures(tmp_path: Path) -> None:
    from backtrail_model.study import readers
    from backtrail_model.study.replay import interpreter
    from backtrail_model.tune.triples import of_item

    item = readers.read(data.write(tmp_path, data.ROWS))[0]
    triple = await of_item(item, interpreter(), origin="items.jsonl")
    assert isinstance(triple, Triple)
    assert "number < best" in triple.facts and "largest([1, 5, 2])" in triple.facts
    assert triple.fix == data.program(data.ROWS[0])
    assert data.CANARY not in json.dumps(triple.messages) + triple.answer
