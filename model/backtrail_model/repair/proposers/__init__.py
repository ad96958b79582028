"""Proposers, and the line-up that is used when nobody says otherwise."""

from __future__ import annotations

from backtrail_model.client import ModelClient, Priority
from backtrail_model.repair.proposers.base import Proposer
from backtrail_model.repair.proposers.infill import Infill
from backtrail_model.repair.proposers.instruct import Instruct
from backtrail_model.repair.proposers.mutate import Mutations

__all__ = ["Infill", "Instruct", "Mutations", "Proposer", "standard"]


def standard(client: ModelClient | None, priority: Priority = "person") -> tuple[Proposer, ...]:
    """Mutations beside the model's lane: the likeliest holes, an instruction, more holes, and so on.

    Without a client there are the mutations only.
    """
    if client is None:
        return (Mutations(),)
    return (
        Mutations(),
        Infill(client, holes=5, priority=priority),
        Instruct(client, priority=priority),
        Infill(client, holes=3, priority=priority),
        Instruct(client, samples=4, temperature=0.8, priority=priority),
        Infill(client, holes=4, kind="insert", chance=0.3, name="insertion", priority=priority),
        Instruct(client, samples=2, temperature=0.6, second_round=True, priority=priority),
        Infill(client, holes=8, priority=priority),
    )
