"""Which token comes next: greedy, or drawn with a temperature and a nucleus; and how likely it was."""

from __future__ import annotations

import torch
from attrs import frozen


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
    weights = nucleus(torch.softmax(logits / sampling.temperature, dim=-1), sampling.top_p)
    return int(torch.multinomial(weights.cpu(), 1, generator=generator))


def nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """The probabilities [vocabulary] with all outside the nucleus set to 0; not normalised again."""
    if top_p >= 1:
        return probabilities
    ordered, index = probabilities.sort(descending=True)
    # A token belongs to the nucleus if those before it have not reached top_p; the first always does.
    outside = ordered.cumsum(-1) - ordered >= top_p
    outside[0] = False
    return probabilities.index_fill(0, index[outside], 0.0)


def score(logits: torch.Tensor, token: int, top: int) -> Score:
    """How likely `token` was by the model's own distribution, before temperature and nucleus."""
    logprobs = torch.log_softmax(logits, dim=-1)
    best = logprobs.topk(top) if top else None
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True) if best else ()
    return Score(float(logprobs[token]), tuple(pairs))
