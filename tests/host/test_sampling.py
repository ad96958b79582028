"""Picking tokens, checking drafts, scoring what was picked."""

from __future__ import annotations

import pytest
import torch

from backtrail_model.host.generate import accepted
from backtrail_model.host.sampling import LIKELY, Sampling, draw, nucleus, pick, score


@pytest.mark.parametrize(
    ("top_p", "kept"), [(1.0, [0, 1, 2, 3]), (0.9, [0, 1, 3]), (0.7, [1, 3]), (0.4, [1]), (0.0, [1])]
)
def test_nucleus(top_p: float, kept: list[int]) -> None:
    left = nucleus(torch.tensor([0.2, 0.45, 0.05, 0.3]), top_p)
    assert left.nonzero().flatten().tolist() == kept


def test_a_nucleus_of_many_tokens() -> None:
    """More than the few that are ordered first."""
    flat = torch.full((4 * LIKELY,), 1 / (4 * LIKELY))
    assert int((nucleus(flat, 0.75) > 0).sum()) == 3 * LIKELY


def test_tokens_are_drawn_by_their_weight() -> None:
    weights, generator = torch.tensor([0.0, 2.0, 0.0, 6.0, 0.0]), Sampling(seed=1).generator(0)
    drawn = [draw(weights, generator) for _ in range(4000)]
    assert set(drawn) == {1, 3}
    assert 0.72 < drawn.count(3) / len(drawn) < 0.78


def test_a_sample_has_its_own_random_numbers() -> None:
    sampling = Sampling(temperature=1.0, seed=5)
    logits = torch.zeros(1000)
    draws = [pick(logits, sampling, sampling.generator(sample)) for sample in (0, 1, 0)]
    assert draws[0] == draws[2] != draws[1]


def test_a_draft_is_taken_as_far_as_it_holds_and_one_token_more() -> None:
    rows = torch.eye(5)[[3, 1, 4]]  # the greedy tokens are 3, 1, 4
    generator = Sampling().generator(0)
    assert accepted(rows, [3, 1], Sampling(), generator) == [3, 1, 4]
    assert accepted(rows, [3, 2], Sampling(), generator) == [3, 1]
    assert accepted(rows, [0, 1], Sampling(), generator) == [3]
    assert accepted(rows[:1], [], Sampling(), generator) == [3]


def test_a_draft_uses_random_numbers_as_plain_decoding_does() -> None:
    sampling, rows = Sampling(temperature=1.0, seed=3), torch.randn(6, 50, generator=torch.manual_seed(0))
    plain_generator = sampling.generator(0)
    plain = [pick(row, sampling, plain_generator) for row in rows]
    drafted = accepted(rows, plain[:5], sampling, sampling.generator(0))
    assert drafted == plain


def test_a_score_is_the_log_of_the_models_own_probability() -> None:
    found = score(torch.tensor([0.5, 0.3, 0.2]).log() + 7, 1, 2)
    assert found.logprob == pytest.approx(torch.tensor(0.3).log().item())
    assert [token for token, _ in found.top] == [0, 1]
    assert found.top[0][1] == pytest.approx(torch.tensor(0.5).log().item())
