"""From evidence to an explanation in plain words: by a model, checked, or without one."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing

from backtrail_model import prompts
from backtrail_model.claims import Checked, Claim, check, short
from backtrail_model.client import ModelClient, Priority
from backtrail_model.evidence import Evidence, Fact, shorter
from backtrail_model.fitting import until_it_fits

__all__ = ["Checked", "Claim", "check", "explain", "messages", "summary"]

MOST_TOKENS = 260

_CONCLUDED = re.compile(r"^wrong:.*\n", re.MULTILINE)


def messages(evidence: Evidence) -> list[Mapping[str, str]]:
    """What the model sees."""
    user = prompts.fill("explain_user", code=evidence.code, facts=evidence.to_text())
    return [
        {"role": "system", "content": prompts.fill("explain_system")},
        # Small models cite facts when they have seen it done, and hardly ever because they were told to.
        {"role": "user", "content": prompts.fill("explain_example_user")},
        {"role": "assistant", "content": prompts.fill("explain_example_assistant")},
        {"role": "user", "content": user},
    ]


async def explain(
    client: ModelClient,
    evidence: Evidence,
    *,
    seed: int = 0,
    priority: Priority = "person",
    on_evidence: Callable[[Evidence], None] = lambda _: None,
) -> AsyncGenerator[str, None]:
    """The model's explanation, piece by piece. Run the whole through `check`. Raises HostError.

    Where the prompt is too long for the model, it is asked again with fewer facts; `on_evidence` gets what
    the prompt holds, each time.
    """

    def told(less: Evidence) -> AsyncGenerator[str, None]:
        on_evidence(less)
        return _told(client, less, seed, priority)

    async with aclosing(until_it_fits(shorter.steps(evidence), told)) as pieces:
        async for piece in pieces:
            yield piece


async def _told(
    client: ModelClient, evidence: Evidence, seed: int, priority: Priority
) -> AsyncGenerator[str, None]:
    stream = client.chat(messages(evidence), max_tokens=MOST_TOKENS, seed=seed, priority=priority)
    said = ""
    async with aclosing(stream) as deltas:
        async for delta in deltas:
            begun, said = len(said), said + delta.text
            concluded = _CONCLUDED.search(said)
            yield said[begun : concluded.end()] if concluded else delta.text
            if concluded:
                return  # that line was asked for as the last one; small models go on all the same


def summary(evidence: Evidence) -> str:
    """The failure in plain words, without a model: what was called, expected, got, and where it came from."""
    sentences = [*_what_happened(evidence), *_where_from(evidence)]
    return " ".join(sentences)


def _what_happened(evidence: Evidence) -> Iterator[str]:
    call = f"`{evidence.call.text}`" if evidence.call else "The code"
    name = f"`{evidence.test.name}` failed"
    if evidence.expected is not None and evidence.actual is not None:
        if evidence.call and evidence.call.result == evidence.actual:
            yield f"{name}: {call} returned {evidence.actual}, expected {evidence.expected}."
        else:
            yield f"{name}: it got {evidence.actual}, expected {evidence.expected}."
            if evidence.call and evidence.call.result is not None:
                yield f"{call} returned {evidence.call.result}."
        if evidence.difference:
            yield f"The difference: {evidence.difference}."
        if evidence.check:
            yield f"{evidence.check}."
    elif evidence.check:
        yield f"{name}: {evidence.check}."
        if evidence.call and evidence.call.result not in (None, "None"):
            yield f"{call} returned {evidence.call.result}."
    elif evidence.exception and evidence.places:
        place = evidence.places[-1]
        at = f"line {place.line} (`{place.function}`)"
        yield f"{name}: {call} ended with {evidence.exception} at {at}."
        told = any((fact.path, fact.line) == (place.path, place.line) for fact in _telling(evidence))
        if place.values and not told:
            yield f"There, {_given(place.values)}."
    else:
        yield f"{name}: {evidence.test.assertion or evidence.exception or 'no values were recorded'}."


def _where_from(evidence: Evidence) -> Iterator[str]:
    """The nearest fact of each of the nearest lines, from the failure backwards."""
    by_line = {(fact.path, fact.line): fact for fact in reversed(_telling(evidence))}
    for index, fact in enumerate(list(reversed(by_line.values()))[:3]):
        given = _given(fact.reads)
        first = "It stopped at" if fact.effect.startswith("raises") else "The value came from"
        lead = first if index == 0 else "Before that,"
        when = f" with {given}" if given else ""
        yield f"{lead} line {fact.line}, `{fact.source}`{when}: {short(fact.effect)} ({fact.id})."


def _telling(evidence: Evidence) -> list[Fact]:
    """The facts that say what a line did, nearest to the failure first."""
    nearest = sorted(evidence.facts, key=lambda fact: (fact.distance, -fact.order))
    return [fact for fact in nearest if fact.effect not in ("", "goes on", "ends")]


def _given(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {short(text)}" for name, text in values.items())
