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
from backtrail_model.host.integer import IntegerLinear
from backtrail_model.host.linear import Nf4Weight, pack
from backtrail_model.host.store import Packed, Store

SHORTLIST = 32
"""Tokens whose logits are computed exactly; bench/model_host.py prints how far down the best one was."""


NO_CODE = torch.empty(0)
"""Our kernel knows the values of NF4 itself."""

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

    def __init__(self, weight: torch.Tensor, approximate: Head) -> None:
        """`approximate` gives the logits from the NF4 form alone."""
        self.weight, self.approximate = weight, approximate

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = self.approximate(hidden)
        best = logits.topk(min(SHORTLIST, logits.shape[-1]), dim=-1, sorted=False).indices
        # Not a matrix product, which adds in another order for each number of rows.
        exact = (self.weight[best].float() * hidden.float()[:, None]).sum(-1)
        return logits.scatter_(-1, best, exact)


def packed(weight: torch.Tensor, store: Store) -> Head:
    """The NF4 form of a head [vocabulary, size] by bitsandbytes' kernel; takes seconds if it is not kept."""
    held = store.get("head", (weight.shape[0], weight.shape[1]), lambda: pack([_nf4(weight)]))
    return lambda hidden: kernels.multiply(hidden, held.nibbles, held.scales, held.block).float()


def in_bytes(weight: torch.Tensor, store: Store) -> Head:
    """The same by our own kernel."""
    rows, columns = weight.shape

    def make() -> Packed:
        made = _nf4(weight)
        return Packed(made.packed.view(rows, -1), made.scales.view(rows, -1), made.block)

    held = store.get("head in rows", (rows, columns), make)
    near = Nf4Weight(held.nibbles.view(-1), held.scales.view(-1), NO_CODE, rows, columns, held.block)
    return IntegerLinear([near])


def _nf4(weight: torch.Tensor) -> Nf4Weight:
    from backtrail_model.host.quantised import nf4  # imports bitsandbytes, which takes long

    packed, state = nf4(weight.bfloat16())
    return Nf4Weight(packed.view(-1), state.absmax, state.code, *weight.shape)
