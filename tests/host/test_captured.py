"""Passes that are replayed over fixed buffers say what passes say that are not.

What is captured here is captured by running it again, which needs no GPU: buffers, masks, shapes and who
lies where are the same. CUDA graphs themselves are met in test_gpu.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.host.test_lane import CODE, COUNT, lane_of, run

pytestmark = pytest.mark.model


class Again:
    """Captures a pass by keeping it; `shapes` counts the captures."""

    def __init__(self) -> None:
        self.shapes = 0

    def __call__(self, run: Any) -> Any:
        self.shapes += 1
        out = run()

        def replay() -> Any:
            out.copy_(run())  # as a graph does: the result always lies in the same place
            return out

        return replay


@pytest.fixture
def captured(exact: Any) -> Any:
    from attrs import evolve

    from backtrail_model.host.captured import Captured

    return evolve(exact, model=Captured(exact.model, Again()))


def tokens(loaded: Any, text: str) -> list[int]:
    return list(loaded.tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("text", [CODE, COUNT])
@pytest.mark.parametrize("lookup", [True, False])
def test_replayed_passes_say_the_same(exact: Any, captured: Any, text: str, lookup: bool) -> None:
    ids, lane = tokens(exact, text), lane_of(captured)
    assert run(lane, ids, 24, lookup=lookup) == run(lane_of(exact), ids, 24, lookup=lookup)
    assert lane.counters.replayed_passes == lane.counters.passes - 1, "all but the prompt"
    assert not captured.model.refused


def test_samples_of_one_batch_say_the_same(exact: Any, captured: Any) -> None:
    from backtrail_model.host.sampling import Sampling

    ids, sampling = tokens(exact, CODE), Sampling(temperature=0.9, seed=3)
    options: dict[str, Any] = {"samples": 5, "sampling": sampling, "batched": True}
    assert run(lane_of(captured), ids, 10, **options) == run(lane_of(exact), ids, 10, **options)
    assert captured.model.replayed > 5


def together(loaded: Any, prompts: list[list[int]]) -> list[list[int]]:
    """Prompts of several lengths in one batch."""
    import torch

    from backtrail_model.host.generate import Task

    out: list[list[int]] = [[] for _ in prompts]
    tasks = [Task(ids, 8) for ids in prompts]
    with torch.inference_mode():
        for step in lane_of(loaded).generate_together(tasks, [lambda sample: True] * len(tasks)):
            for new in step:
                out[new.task] += new.ids
    return out


def test_prompts_of_several_lengths_say_the_same(exact: Any, captured: Any) -> None:
    prompts = [tokens(exact, text) for text in (CODE, COUNT, "def f(x):\n    return")]
    assert together(captured, prompts) == together(exact, prompts)


def test_requests_that_take_turns_do_not_meet(exact: Any, captured: Any) -> None:
    """Two caches want the same buffers: whoever is not decoded moves out with all that it holds."""
    import torch

    from backtrail_model.host.generate import Task

    prompts, lane = [tokens(exact, CODE), tokens(exact, COUNT)], lane_of(captured)
    out: list[list[int]] = [[], []]
    with torch.inference_mode():
        running = [lane.generate(Task(ids, 12, lookup=False), lambda sample: True) for ids in prompts]
        for _ in range(200):
            for at, steps in enumerate(running):
                for new in next(steps, []):
                    out[at] += new.ids
    assert out == [run(lane_of(exact), ids, 12, lookup=False)[0] for ids in prompts]
    assert captured.model.replayed == 22


def test_a_text_that_outgrows_its_buffers_moves_to_larger_ones(
    exact: Any, captured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backtrail_model.host import captured as module

    monkeypatch.setattr(module, "LEAST_CAPACITY", 16)
    ids, lane = tokens(exact, CODE), lane_of(captured)
    assert len(ids) < 64 < len(ids) + 24
    assert run(lane, ids, 24, lookup=False) == run(lane_of(exact), ids, 24, lookup=False)
    assert captured.model._capture.shapes >= 2
    assert captured.model.replayed == 23


def test_buffers_are_bounded_and_the_oldest_give_way(exact: Any) -> None:
    from attrs import evolve

    from backtrail_model.host.captured import LEAST_CAPACITY, Captured

    one = 2 * exact.model.empty_cache().bytes_of(1, LEAST_CAPACITY)
    ids = tokens(exact, CODE)
    options: dict[str, Any] = {"samples": 2, "batched": True}
    for limit, replays in ((2 * one, True), (one - 1, False)):
        loaded = evolve(exact, model=Captured(exact.model, Again(), most_bytes=limit))
        assert run(lane_of(loaded), ids, 6) == run(lane_of(exact), ids, 6)
        assert run(lane_of(loaded), ids, 6, **options) == run(lane_of(exact), ids, 6, **options)
        assert sum(place.held.nbytes for place in loaded.model._places.values()) <= limit
        assert (loaded.model.replayed > 0) == replays


def test_what_cannot_be_captured_runs_as_before_and_says_why(exact: Any) -> None:
    from attrs import evolve

    from backtrail_model.host.captured import Captured

    def refusing(run: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    loaded = evolve(exact, model=Captured(exact.model, refusing))
    ids, lane = tokens(exact, CODE), lane_of(loaded)
    assert run(lane, ids, 8) == run(lane_of(exact), ids, 8)
    assert loaded.model.refused == "RuntimeError: operation not permitted when stream is capturing"
    assert lane.counters.replayed_passes == 0
