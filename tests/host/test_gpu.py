"""The same lane on a GPU. Skipped where torch sees none, which the reason says."""

from __future__ import annotations

import pytest
import torch

from tests.host.test_lane import lane_of, run

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device on this machine"),
]


@pytest.fixture(scope="module")
def on_gpu(small_folder):
    from backtrail_model.host.load import choose_form, load

    return load(small_folder, choose_form())


def test_the_gpu_is_chosen_and_says_what_the_cpu_says(on_gpu, exact) -> None:
    assert (on_gpu.form.device, on_gpu.form.nf4) == ("cuda", True)
    ids = exact.tokenizer("one two three four, one two three four, one", add_special_tokens=False)[
        "input_ids"
    ]
    assert run(lane_of(on_gpu), ids, 8) == run(lane_of(exact), ids, 8)


def test_drafts_prefixes_and_batches_work_there(on_gpu) -> None:
    from backtrail_model.host.sampling import Sampling

    ids = on_gpu.tokenizer("one two three four five six, " * 6, add_special_tokens=False)["input_ids"]
    lane = lane_of(on_gpu)
    assert len(run(lane, ids, 16)[0]) == 16
    samples = run(lane, ids, 6, samples=8, sampling=Sampling(temperature=0.8, seed=1), batched=True)
    assert [len(sample) for sample in samples] == [6] * 8
    assert lane.counters.reused_tokens > 0 and lane.counters.batched_passes > 0
    assert lane.counters.replayed_passes > 0, on_gpu.model.refused
