"""From hidden states to logits: the head, whole or through its NF4 form.

The head of a small model is a quarter of its weights in 16 bits, and reading it takes a quarter of a
decode step on a CPU. So an NF4 copy of it, an eighth of the bytes, finds the likeliest tokens, and the
logits of those are computed again from the 16-bit weights. What decides (the first tokens of the order)
is exact; the tail, which only shares out the rest of the probability, has the rounding of NF4.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import linear

from backtrail_model.host import kernels
from backtrail_model.host.linear import Nf4Weight, pack
from backtrail_model.host.store import Packed

SHORTLIST = 32
"""Tokens whose logits are computed exactly; bench/model_host.py prints how far down the best one was."""


Head = Callable[[torch.Tensor], torch.Tensor]
"""Hidden states [rows, size] → logits [rows, vocabulary] in float32."""


class FullHead:
    """Logits from a weight [vocabulary, size], all of it."""

    def __init__(self, weight: torch.Tensor) -> None:
        self.weight = weight

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        return linear(hidden, self.weight).float()


class ShortlistHead:
    """Logits from an NF4 form, the likeliest `SHORTLIST` of each row again from `weight`."""

    def __init__(self, weight: torch.Tensor, near: Packed) -> None:
        self.weight, self.near = weight, near

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = self.approximate(hidden)
        best = logits.topk(min(SHORTLIST, logits.shape[-1]), dim=-1, sorted=False).indices
        exact = torch.einsum("rks,rs->rk", self.weight[best].float(), hidden.float())
        return logits.scatter_(-1, best, exact)

    def approximate(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [rows, vocabulary] from the NF4 form alone."""
        return kernels.multiply(hidden, self.near.nibbles, self.near.scales, self.near.block).float()


def near(weight: torch.Tensor) -> Packed:
    """The NF4 form of a head [vocabulary, size] in bfloat16; takes seconds."""
    from backtrail_model.host.quantised import nf4  # imports bitsandbytes, which takes long

    packed, state = nf4(weight)
    rows, columns = weight.shape
    return pack([Nf4Weight(packed.view(-1), state.absmax, state.code, rows, columns)])
