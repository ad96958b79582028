"""Simulated developers: a day of saves, and what their searches ask of a server, at its real pace.

Every save that fails starts the search of a recording; a developer's next one ends the search that still
runs, as a save in the editor does. Each search has its own code: a mark at the head of its prompts keeps a
server from reading one search's prompt for another's, while the requests of one search still begin alike.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from attrs import define, field, frozen

from backtrail_model import fim
from backtrail_model.errors import HostError, HostRefused
from backtrail_model.transport import Json
from bench.recording import Exchange, Meter, Recording

HOURS = (0.6, 1.1, 1.3, 1.0, 0.5, 1.2, 1.4, 0.9)
"""How busy each hour of a working day is, beside the mean: made up, with two peaks."""


@frozen
class Habits:
    """Of one developer. Both are guesses about your team: count your own."""

    saves: float = 120.0  # a day
    failing: float = 0.25  # the share of them that fails and starts a search

    @property
    def a_day(self) -> float:
        return self.saves * self.failing

    @property
    def a_second(self) -> float:
        """Searches a second in the busiest hour."""
        return self.a_day / len(HOURS) / 3600 * max(HOURS)


@frozen
class Save:
    """A failing save: seconds into the day, whose it is, and which one in all."""

    at_s: float
    developer: int
    number: int


def day(developers: int, habits: Habits, seed: int) -> list[Save]:
    """The failing saves of a day, in their order: a Poisson process for each developer and hour."""
    chance = random.Random(seed)
    found: list[tuple[float, int]] = []
    for developer, (hour, busy) in itertools.product(range(developers), enumerate(HOURS)):
        rate = habits.a_day / len(HOURS) * busy / 3600
        at = hour * 3600 + chance.expovariate(rate)
        while at < (hour + 1) * 3600:
            found.append((at, developer))
            at += chance.expovariate(rate)
    return [Save(at, developer, number) for number, (at, developer) in enumerate(sorted(found))]


def busiest(saves: Sequence[Save], minutes: float) -> list[Save]:
    """Those of the stretch of the day that has the most of them."""
    windows = ([one for one in saves if 0 <= one.at_s - first.at_s < minutes * 60] for first in saves)
    return max(windows, key=len, default=[])


@define
class Search:
    """What became of one search. `first_s` is from the save to the first fix that passed."""

    save: Save
    first_s: float | None = None
    superseded: bool = False
    refused: int = 0  # requests answered with 429
    failed: str = ""  # any other trouble
    exchanges: Sequence[Exchange] = field(factory=list)

    @property
    def counts(self) -> bool:
        """Whether somebody waited for its first fix to the end."""
        return not self.superseded or self.first_s is not None


@frozen
class Target:
    """The server under load."""

    base_url: str
    token: str
    allowed: tuple[str, ...] = ()


async def play(
    saves: Sequence[Save], recordings: Sequence[Recording], target: Target, seed: int
) -> list[Search]:
    """Every save at its time, from the first one on; returns when the last search is over."""
    chance = random.Random(seed)
    running: dict[int, tuple[Search, asyncio.Task[None]]] = {}
    tasks: list[asyncio.Task[None]] = []
    searches: list[Search] = []
    began, start = time.monotonic(), saves[0].at_s if saves else 0.0
    for save in saves:
        await asyncio.sleep(save.at_s - start - (time.monotonic() - began))
        before = running.get(save.developer)
        if before is not None and not before[1].done():
            before[0].superseded = True
            before[1].cancel()
        search = Search(save)
        task = asyncio.create_task(_search(search, chance.choice(recordings), target))
        running[save.developer] = search, task
        searches.append(search)
        tasks.append(task)
    await asyncio.gather(*tasks, return_exceptions=True)
    return searches


async def _search(search: Search, recording: Recording, target: Target) -> None:
    client = f"developer {search.save.developer}"
    meter = Meter(target.base_url, target.token, target.allowed, client)
    search.exchanges = meter.exchanges
    mark = secrets.token_hex(4)  # not seeded: a server may still know the marks of an earlier load
    began = time.monotonic()
    try:
        # A fix that comes later than the budget of a search is never seen.
        async with asyncio.timeout(recording.budget_s) as limit:
            for number, asked in enumerate(recording.requests):
                await asyncio.sleep(asked.gap_s)
                body = marked(asked.body, mark)
                async with aclosing(meter.stream(asked.path, body)) as events:
                    async for _ in events:
                        pass
                if number == _last_needed(recording):
                    await asyncio.sleep(recording.verify_s)
                    search.first_s = time.monotonic() - began
                    left = min(recording.settle_s, recording.budget_s - search.first_s)
                    limit.reschedule(asyncio.get_running_loop().time() + max(0.0, left))
    except TimeoutError:
        pass
    except HostError as error:
        if isinstance(error, HostRefused) and error.status == 429:
            search.refused += 1
        else:
            search.failed = str(error)
    finally:
        await meter.aclose()


def _last_needed(recording: Recording) -> int:
    """The request that held the first fix; where none was found, the last one stands for it."""
    return len(recording.requests) - 1 if recording.first is None else recording.first


def marked(body: Json, mark: str) -> dict[str, Any]:
    """The same request about other code: a comment stands at its head."""
    line = f"# {mark}\n"
    if "messages" in body:
        messages = [dict(message) for message in body["messages"]]
        first = next(message for message in messages if message["role"] == "user")
        first["content"] = line + first["content"]
        return {**body, "messages": messages}
    prompt = str(body["prompt"])
    known = {form.before for _, form in fim.FAMILIES}
    before = next((token for token in known if prompt.startswith(token)), "")
    return {**body, "prompt": before + line + prompt.removeprefix(before)}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed; nan where there is none."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)] if ordered else float("nan")


@frozen
class Load:
    """What one number of developers came to. Times in seconds; a first fix that never came is infinite."""

    developers: int
    searches: Sequence[Search]
    seconds: float

    @property
    def firsts(self) -> list[float]:
        return [float("inf") if one.first_s is None else one.first_s for one in self.searches if one.counts]

    @property
    def exchanges(self) -> list[Exchange]:
        return [exchange for one in self.searches for exchange in one.exchanges]

    @property
    def to_first_token(self) -> list[float]:
        return [one.first - one.began for one in self.exchanges if one.first is not None]

    @property
    def requests(self) -> list[float]:
        return [one.ended - one.began for one in self.exchanges if one.whole and one.ended]

    @property
    def failures(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for one in self.searches:
            if one.failed:
                found[one.failed] = found.get(one.failed, 0) + 1
        return found
