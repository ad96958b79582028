"""Which token comes next: greedy, or drawn with a temperature and a nucleus."""

from __future__ import annotations

from collections.abc import Sequence

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


def draft(ids: Sequence[int], longest: int, count: int) -> list[int]:
    """Guess what follows: find where the last tokens occurred before, and take what came after them then.

    Tries the last `longest` tokens, then fewer, down to 2; the latest occurrence wins. At most `count`
    tokens, none if there is no earlier occurrence.
    """
    size = len(ids)
    for length in range(min(longest, size - 1), 1, -1):
        tail = list(ids[size - length :])
        for start in range(size - length - 1, -1, -1):
            if ids[start] == tail[0] and list(ids[start : start + length]) == tail:
                return list(ids[start + length : start + length + count])
    return []
