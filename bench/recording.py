"""One real search for a fix, and the requests it makes of a model: what `load` plays again.

The edits that need no model are left out of the search, so that every fix has to come from the model and
the requests are really made. With them, a search often ends sooner.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import asdict, define, field, frozen
from rich.console import Console

from backtrail_model.client import ModelClient
from backtrail_model.repair import RepairContext, prepare, repair, standard
from backtrail_model.repair.proposers import askers
from backtrail_model.transport import Json, Transport
from backtrail_server.assisting import source_of
from backtrail_server.terminal.place import Place, find
from backtrail_server.terminal.trace import traced
from backtrail_server.tracing import process_limits
from backtrail_tracer.session import Session
from backtrail_tracer.verify import Verifier

if TYPE_CHECKING:
    from backtrail_model.repair import Fix

RECORD_S = 300.0
"""How long the recorded search may take: longer than a person's, so that a slow server shows its fix too."""
CHARACTERS = 3.5
"""Of code in a token: for answers that nobody waited for, of which no server tells the count."""


@define
class Exchange:
    """A request on the wire. Times in seconds on the clock of time.monotonic; tokens of all its samples."""

    path: str
    body: Json = field(repr=False)
    began: float
    first: float | None = None
    ended: float | None = None
    whole: bool = False  # whether it was answered to the end
    prompt_tokens: int = 0
    output_tokens: int = 0
    ask: int = 0  # which question of the search it belongs to

    def see(self, event: Json) -> None:
        """Note what an event says."""
        written = sum(len(_text(choice)) for choice in event.get("choices") or ())
        if written and self.first is None:
            self.first = time.monotonic()
        usage = event.get("usage")
        if usage:
            self.prompt_tokens, self.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]
        elif not self.whole:
            self.output_tokens += round(written / CHARACTERS)

    def end(self, whole: bool) -> None:
        self.ended, self.whole = time.monotonic(), whole
        self.prompt_tokens = self.prompt_tokens or round(len(json.dumps(self.body)) / CHARACTERS)


def _text(choice: Mapping[str, Any]) -> str:
    said = choice.get("delta") or choice.get("message") or {}
    return str(choice.get("text") or said.get("content") or "")


class Meter(Transport):
    """A transport that keeps what it carried, for as long as it lives. `client` is whom the host sees."""

    def __init__(self, base_url: str, token: str, allowed: Sequence[str], client: str) -> None:
        super().__init__(base_url, token, allowed, timeout_s=120.0)
        self._client().headers["X-Backtrail-Client"] = client
        self.exchanges: list[Exchange] = []
        self.ask: Callable[[], int] = lambda: 0

    async def stream(self, path: str, body: Json) -> AsyncGenerator[Json, None]:
        exchange = Exchange(path, body, time.monotonic(), ask=self.ask())
        counted = {**body, "stream_options": {"include_usage": True}}
        self.exchanges.append(exchange)
        whole = False
        try:
            async with aclosing(super().stream(path, counted)) as events:
                async for event in events:
                    exchange.see(event)
                    yield event
            whole = True
        finally:
            exchange.end(whole)


@frozen
class Asked:
    """One request of a search. `gap_s` is how long after the end of the one before it was made."""

    path: str
    body: Json = field(repr=False)
    gap_s: float
    seconds: float
    prompt_tokens: int
    output_tokens: int


@frozen
class Recording:
    """The requests of one search. `first` of them held the first fix, which had passed `verify_s` after
    its end; the search went on for `settle_s`. None: no fix was found."""

    project: str
    model: str
    title: str
    requests: tuple[Asked, ...]
    first: int | None
    first_s: float | None
    verify_s: float
    settle_s: float
    budget_s: float

    def tokens(self, to_first: bool = False) -> tuple[int, int]:
        """Of prompts and of answers: of the whole search, or up to the first fix."""
        last = len(self.requests) if not to_first or self.first is None else self.first + 1
        done = self.requests[:last]
        return sum(one.prompt_tokens for one in done), sum(one.output_tokens for one in done)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Recording:
        kept = json.loads(text)
        return cls(**{**kept, "requests": tuple(Asked(**one) for one in kept["requests"])})


async def record(
    project: Path, base_url: str, token: str, allowed: Sequence[str], model: str | None
) -> Recording:
    """Trace a project and search a fix for its first failure, by the model at `base_url` alone.

    Raises HostError when the model cannot be asked, ValueError when there is nothing to fix.
    """
    place = find(project, None)
    meter = Meter(base_url, token, allowed, "recording")
    async with ModelClient(base_url, model=model, transport=meter) as client:
        name = await client.model()
        fixes, context, began = await _search(place, client, meter)
        seconds = time.monotonic() - began
    return _recording(place, name, context, meter.exchanges, fixes, (began, seconds))


Timed = list[tuple[float, "Fix"]]


async def _search(place: Place, client: ModelClient, meter: Meter) -> tuple[Timed, RepairContext, float]:
    """The fixes and when each came, and when the search began."""
    ran = await traced(place, Console(stderr=True))
    if ran is None or not ran.trace.failures:
        raise ValueError(f"nothing fails in {place.root}: there is no fix to search for")
    settings = place.settings
    context = prepare(ran.trace, ran.trace.failures[0], source_of(ran), seed=settings.fix.seed)
    meter.ask = lambda: len(context.attempts.prompts) - 1
    session = Session(ran.interpreter, place.root, allow=settings.guard.allow, sandbox=settings.sandbox)
    proposers = standard(client, only={one.name for one in askers(client)})
    found: Timed = []
    began = time.monotonic()
    async with Verifier(session, ran.entry, process_limits=process_limits(settings.limits)) as verifier:
        search = repair(context, proposers, verifier, budget_s=RECORD_S)
        async with aclosing(search) as fixes:
            async for fix in fixes:
                found.append((time.monotonic(), fix))
    return found, context, began


def _recording(
    place: Place,
    model: str,
    context: RepairContext,
    exchanges: Sequence[Exchange],
    fixes: Timed,
    times: tuple[float, float],
) -> Recording:
    began, seconds = times
    # What a server refused, because it does not know a field, was asked again without the field.
    made = [one for one in exchanges if one.first is not None or one.whole]
    if not made:
        why = "; ".join(context.attempts.skipped) or "the search asked nothing"
        raise ValueError(f"no request was answered: {why}")
    requests, before = [], began
    for one in made:
        end = one.ended or one.began
        length = end - one.began
        requests.append(
            Asked(
                one.path, one.body, max(0.0, one.began - before), length, one.prompt_tokens, one.output_tokens
            )
        )
        before = end
    at, fix = fixes[0] if fixes else (began + seconds, None)
    first = _holding(made, context, fix, at) if fix else None
    ended = made[first].ended if first is not None else None
    return Recording(
        project=place.root.name,
        model=model,
        title=fix.title if fix else "",
        requests=tuple(requests),
        first=first,
        first_s=at - began if fix else None,
        verify_s=max(0.0, at - ended) if ended else 0.0,
        settle_s=began + seconds - at,
        budget_s=place.settings.fix.budget_seconds,
    )


def _holding(made: Sequence[Exchange], context: RepairContext, fix: Fix, at: float) -> int | None:
    """Which request the fix came from: the last one of its question that had begun by then."""
    asks = [number for number, one in enumerate(context.attempts.prompts) if one is fix.prompted]
    holding = [place for place, one in enumerate(made) if one.ask in asks and one.began <= at]
    return holding[-1] if holding else None
