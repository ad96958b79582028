"""What makes the lane fast must not change what it says: drafts, remembered prefixes, batches."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.model

CODE = """def add_all(values):
    total = 0
    for value in values:
        total = total + value
    return total


def multiply_all(values):
    total = 1
"""
COUNT = "one two three four five six seven eight, " * 4 + "one two"


def lane_of(loaded, prefix_bytes: int = 1 << 28):
    from backtrail_model.host.generate import Counters, Lane
    from backtrail_model.host.prefixes import Prefixes

    return Lane(loaded.model, Prefixes(prefix_bytes), Counters())


def run(lane, ids: list[int], max_tokens: int = 12, **options) -> list[list[int]]:
    """The tokens of each sample, to the end."""
    import torch

    from backtrail_model.host.generate import Task

    task = Task(ids, max_tokens, **options)
    out: list[list[int]] = [[] for _ in range(task.samples)]
    with torch.inference_mode():
        for step in lane.generate(task, lambda sample: True):
            for tokens in step:
                out[tokens.sample] += tokens.ids
    return out


@pytest.fixture(scope="module")
def count(exact) -> list[int]:
    """A text that the model goes on repeating."""
    return list(exact.tokenizer(COUNT, add_special_tokens=False)["input_ids"])


@pytest.fixture(scope="module")
def code(exact) -> list[int]:
    return list(exact.tokenizer(CODE, add_special_tokens=False)["input_ids"])


def test_drafts_change_nothing_but_the_number_of_passes(exact, count: list[int]) -> None:
    plain, drafting = lane_of(exact), lane_of(exact)
    assert run(plain, count, 24, lookup=False) == run(drafting, count, 24)
    assert plain.counters.passes == 24  # the prompt, and one for each token but the first
    assert drafting.counters.passes < 0.7 * plain.counters.passes
    assert drafting.counters.accepted > 0


def test_drafts_do_not_change_samples_either(exact, count: list[int]) -> None:
    from backtrail_model.host.sampling import Sampling

    sampling = Sampling(temperature=0.7, top_p=0.95, seed=11)
    drafting = lane_of(exact)
    plain = run(lane_of(exact), count, 24, lookup=False, sampling=sampling)
    assert plain == run(drafting, count, 24, sampling=sampling)
    assert drafting.counters.accepted > 0


@pytest.mark.parametrize("part", [0.5, 0.9, 1.0])
def test_a_remembered_prefix_changes_nothing_but_the_work(exact, code: list[int], part: float) -> None:
    cold, warm = lane_of(exact), lane_of(exact)
    run(warm, code[: int(part * len(code))], max_tokens=2)
    assert run(cold, code) == run(warm, code)
    assert warm.counters.reused_tokens == min(int(part * len(code)), len(code) - 1)


def test_a_prompt_that_parts_ways_reuses_what_is_shared(exact, code: list[int]) -> None:
    warm = lane_of(exact)
    run(warm, [*code[:30], *code[35:]], max_tokens=2)
    assert run(warm, code) == run(lane_of(exact), code)
    assert 30 <= warm.counters.reused_tokens < len(code) - 1


def test_prefixes_stay_within_their_bytes(exact, code: list[int]) -> None:
    lane = lane_of(exact, prefix_bytes=0)
    run(lane, code, max_tokens=2)
    run(lane, code, max_tokens=2)
    assert (lane.prefixes.nbytes, lane.counters.reused_tokens) == (0, 0)
    lane = lane_of(exact)
    run(lane, code, max_tokens=2)
    one = lane.prefixes.nbytes
    lane = lane_of(exact, prefix_bytes=int(2.5 * one))
    for first in range(4):
        run(lane, [first + 100, *code[1:]], max_tokens=2)
    assert one < lane.prefixes.nbytes <= 2.5 * one


def test_a_batch_says_what_single_samples_say(exact, code: list[int]) -> None:
    from backtrail_model.host.sampling import Sampling

    sampling = Sampling(temperature=0.9, seed=4)
    batch, single = lane_of(exact), lane_of(exact)
    together = run(batch, code, 12, samples=4, sampling=sampling, batched=True)
    assert together == run(single, code, 12, samples=4, sampling=sampling, batched=False, lookup=False)
    assert len({tuple(sample) for sample in together}) > 1
    assert batch.counters.passes < single.counters.passes / 3


def test_rows_of_a_batch_leave_when_they_end(exact, code: list[int]) -> None:
    from backtrail_model.host.sampling import Sampling

    sampling = Sampling(temperature=1.5, seed=5)
    newline = exact.tokenizer("\n", add_special_tokens=False)["input_ids"][-1]
    options = {"samples": 4, "sampling": sampling, "stop_ids": frozenset({newline})}
    ended = run(lane_of(exact), code, 12, batched=True, **options)
    free = run(lane_of(exact), code, 12, batched=True, samples=4, sampling=sampling)
    assert len({len(sample) for sample in ended}) > 1
    for short, long in zip(ended, free, strict=True):
        assert long[: len(short)] == short
        assert newline not in short


def test_a_task_dropped_in_the_middle_of_the_prompt_leaves_the_lane_usable(exact, code: list[int]) -> None:
    import torch

    from backtrail_model.host.generate import Task

    lane = lane_of(exact)
    with torch.inference_mode():
        steps = lane.generate(Task(code * 12, 5), lambda sample: True)
        assert next(steps) == []
        steps.close()
    assert run(lane, code) == run(lane_of(exact), code)


def test_samples_with_the_same_text_are_one_row(exact, code: list[int]) -> None:
    lane = lane_of(exact)
    greedy = run(lane, code, 8, samples=4, batched=True)
    assert greedy == [run(lane_of(exact), code, 8)[0]] * 4
    assert (lane.counters.merged, lane.counters.batched_passes) == (3 * 7, 0)


def test_tasks_of_different_lengths_are_decoded_together(exact, code: list[int], count: list[int]) -> None:
    import torch

    from backtrail_model.host.generate import Task
    from backtrail_model.host.sampling import Sampling

    sampling = Sampling(temperature=0.8, seed=2)
    tasks = [Task(count, 6), Task(code, 10), Task(code[:20], 8, samples=2, sampling=sampling)]
    lane, out = lane_of(exact), {}
    with torch.inference_mode():
        for step in lane.generate_together(tasks, [lambda sample: True] * 3):
            for tokens in step:
                out.setdefault(tokens.task, {}).setdefault(tokens.sample, []).extend(tokens.ids)
    for place, task in enumerate(tasks):
        options = {"samples": task.samples, "sampling": task.sampling}
        alone = run(lane_of(exact), task.ids, task.max_tokens, batched=False, lookup=False, **options)
        assert [out[place][sample] for sample in range(task.samples)] == alone
    assert lane.counters.batched_passes > 0


def test_a_prompt_can_be_dropped_between_two_layers(exact, code: list[int]) -> None:
    """So a cancelled or overtaken request costs a layer's time, and not that of its whole prompt."""
    import torch

    from backtrail_model.host.generate import Task

    lane = lane_of(exact)
    with torch.inference_mode():
        steps = lane.generate(Task(code, 5), lambda sample: True)
        empty = 0
        while next(steps) == []:
            empty += 1
    assert empty == exact.model.config.layers
    assert lane.counters.passes == 1


def test_scores_are_those_of_the_tokens_taken(exact, count: list[int]) -> None:
    import torch

    from backtrail_model.host.generate import Task

    def scores(lookup: bool):
        task = Task(count, 8, lookup=lookup, logprobs=2)
        with torch.inference_mode():
            steps = lane_of(exact).generate(task, lambda sample: True)
            return [pair for step in steps for t in step for pair in zip(t.ids, t.scores, strict=True)]

    drafted, plain = scores(True), scores(False)
    assert [token for token, _ in drafted] == [token for token, _ in plain]
    for (token, one), (_, other) in zip(drafted, plain, strict=True):
        assert one.top[0] == (token, one.logprob)  # greedy takes the likeliest
        assert len(one.top) == 2 and one.top[1][1] <= one.logprob <= 0
        assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
