"""Which token comes next: greedy, or drawn with a temperature and a nucleus; and how likely it was."""

from __future__ import annotations

import torch
from attrs import frozen

LIKELY = 256
"""As many of the likeliest tokens are ordered first: nearly always they hold the nucleus."""


@frozen
class Sampling:
    """Temperature 0 is greedy. `top_p` keeps the likeliest tokens that together have that probability."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def generator(self, sample: int) -> torch.Generator:
        """Random numbers of one sample: a stream of its own, whatever its neighbours draw."""
        generator = torch.Generator()
        generator.manual_seed((self.seed * 1_000_003 + sample) % (1 << 63))
        return generator


@frozen
class Score:
    """The logarithm of a token's probability, and the likeliest tokens at its place with theirs."""

    logprob: float
    top: tuple[tuple[int, float], ...] = ()


def pick(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """One token from logits [vocabulary] in float32."""
    if sampling.temperature <= 0:
        return int(logits.argmax())
    return draw(nucleus(torch.softmax(logits / sampling.temperature, dim=-1), sampling.top_p), generator)


def draw(weights: torch.Tensor, generator: torch.Generator) -> int:
    """A place by its weight [places], with one random number.

    torch.multinomial draws a number for each place, which for a vocabulary takes longer than the model's
    own work for the row.
    """
    sums = weights.cpu().cumsum(-1, dtype=torch.float64)
    place = torch.rand((), generator=generator, dtype=torch.float64) * sums[-1]
    return int(torch.searchsorted(sums, place, right=True).clamp(max=len(sums) - 1))


def nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """The probabilities [vocabulary] with all outside the nucleus set to 0; not normalised again."""
    if top_p >= 1:
        return probabilities
    best = probabilities.topk(min(LIKELY, len(probabilities)))
    if float(best.values.sum()) < top_p:
        best = probabilities.sort(descending=True)
    ordered, index = best
    # A token belongs to the nucleus if those before it have not reached top_p; the first always does.
    inside = ordered.cumsum(-1) - ordered < top_p
    inside[0] = True
    return torch.zeros_like(probabilities).index_copy_(0, index[inside], ordered[inside])


def score(logits: torch.Tensor, token: int, top: int) -> Score:
    """How likely `token` was by the model's own distribution, before temperature and nucleus."""
    logprobs = torch.log_softmax(logits, dim=-1)
    best = logprobs.topk(top) if top else None
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True) if best else ()
    return Score(float(logprobs[token]), tuple(pairs))
