"""Proposers, and the line-up that is used when nobody says otherwise."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from backtrail_model.client import ModelClient, Priority
from backtrail_model.repair.proposers.base import Asker, Proposer
from backtrail_model.repair.proposers.completion import Completion
from backtrail_model.repair.proposers.compound import Compounds
from backtrail_model.repair.proposers.infill import Infill
from backtrail_model.repair.proposers.instruct import Instruct
from backtrail_model.repair.proposers.mend import Mends, Restore
from backtrail_model.repair.proposers.mutate import Mutations
from backtrail_model.repair.proposers.rewrite import Rewrite
from backtrail_model.repair.proposers.schedule import Schedule
from backtrail_model.transport import is_loopback

__all__ = [
    "Completion",
    "Compounds",
    "Infill",
    "Instruct",
    "Mends",
    "Mutations",
    "Proposer",
    "Restore",
    "Rewrite",
    "Schedule",
    "askers",
    "standard",
]


def standard(
    client: ModelClient | None, priority: Priority = "person", only: Collection[str] = ()
) -> tuple[Proposer, ...]:
    """Mutations, pairs of them, and mends of what does not parse; beside them the model's lane, where the
    schedule decides who asks next.

    Without a client there is only what needs no model. `only` are names of proposers; none means all.
    """
    cheap: tuple[Proposer, ...] = (
        (Mutations(), Compounds(), Mends()) if not only or "mutation" in only else ()
    )
    chosen = (
        [] if client is None else [one for one in askers(client, priority) if not only or one.name in only]
    )
    if client is None or not chosen:
        return cheap
    here = is_loopback(urlsplit(client.base_url).hostname or "")
    return (*cheap, Schedule(chosen, shares_machine=here))


def askers(client: ModelClient, priority: Priority = "person") -> tuple[Asker, ...]:
    """All that is asked of a model. The chances are first guesses, which a search corrects."""
    return (
        Infill(client, chance=0.6, priority=priority),
        Infill(client, kind="expression", chance=0.2, name="expression", priority=priority),
        Infill(client, kind="insert", chance=0.15, name="insertion", priority=priority),
        Instruct(client, chance=0.35, priority=priority),
        Instruct(client, samples=4, temperature=0.8, chance=0.3, rounds=2, priority=priority),
        Instruct(client, samples=3, temperature=0.6, second_round=True, chance=0.15, priority=priority),
        Rewrite(client, chance=0.4, priority=priority),
        # What a person would paste into a chat: what one answer repairs, the search is not to miss.
        Rewrite(client, kind="correct", chance=0.3, priority=priority),
        Completion(client, priority=priority),
        Rewrite(client, samples=8, temperature=0.8, chance=0.45, rounds=4, priority=priority),
        Rewrite(client, kind="correct", samples=4, temperature=0.7, chance=0.25, rounds=3, priority=priority),
        Restore(client, priority=priority),  # asks only where the failure is a file that does not parse
    )
