"""A pass through a model, which can be left off between its layers."""

from __future__ import annotations

from collections.abc import Generator

import torch

Passing = Generator[None, None, torch.Tensor]
"""Yields wherever it can be left off, for good or for a while; returns the hidden states."""


def whole(passing: Passing) -> torch.Tensor:
    """A pass from its beginning to its end."""
    while True:
        try:
            next(passing)
        except StopIteration as stop:
            hidden: torch.Tensor = stop.value
            return hidden
