"""From evidence to an explanation in plain words: by a model, checked, or without one."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing

from attrs import frozen

from backtrail_model import prompts
from backtrail_model.client import ModelClient, Priority
from backtrail_model.errors import PromptTooLong
from backtrail_model.evidence import Evidence, Fact, shorter

MOST_TOKENS = 260
MOST_CHARACTERS = 72
"""Of one value in `summary`; hovers and the prompt have the whole."""

_ID = re.compile(r"(?:[\w.-]+:)?L\d+(?:#\d+)?")
_CITED = re.compile(r"(?:[\w.-]+:)?L\d+#\d+")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?:[ \t]+(?=[A-Z`(\"'])|\s*$)")
_LITERAL = r"(-?\d+(?:\.\d+)?|\[[^\]]*\]|\([^)]*\)|\{[^}]*\}|'[^']*'|\"[^\"]*\"|True|False|None)"
_CONCLUDED = re.compile(r"^wrong:.*\n", re.MULTILINE)
_QUOTED = re.compile(r"`([^`\n]{6,})`")  # shorter ones are names, not statements
_VERB = r"(?:is|was|becomes|became|equals|has the value|holds|=|==)"
_EXPECTED = re.compile(rf"\btest expect(?:s|ed)\s+`?{_LITERAL}(?![\w(\[]|\.\d)")
_GOT = re.compile(rf"\bbut (?:it )?(?:got|gets)\s+`?{_LITERAL}(?![\w(\[]|\.\d)")
_CLAIM = re.compile(rf"`?\b([A-Za-z_]\w*)`?\s+{_VERB}\s+`?{_LITERAL}(?![\w(\[]|\.\d)")


@frozen
class Checked:
    """An explanation without the sentences that the trace does not bear out. `dropped` says why, one each."""

    text: str  # a paragraph for each line that is left
    dropped: tuple[str, ...]
    cited: int = 0  # sentences that are left and name a fact
    sentences: int = 0  # that are left


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
    too_long: PromptTooLong | None = None
    for less in shorter.steps(evidence):
        on_evidence(less)
        try:
            async with aclosing(_told(client, less, seed, priority)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        except PromptTooLong as error:
            too_long = error
    assert too_long is not None
    raise too_long


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


def check(text: str, evidence: Evidence) -> Checked:
    """Drops the sentences that cite an unknown fact, or say of a name what was not recorded of it.

    A sentence that cites nothing, as those of small models often do, is held against all facts, and
    gets the id of a fact whose statement it quotes.
    """
    lines: list[list[str]] = []
    dropped: list[str] = []
    for line in text.splitlines():
        lines.append([])
        for sentence in _sentences(line):
            reason = _objection(sentence, evidence)
            if reason:
                dropped.append(f"{reason}: {sentence}")
            else:
                lines[-1].append(_cited(sentence, evidence))
    kept = [sentence for line in lines for sentence in line]
    shown = "\n\n".join(" ".join(line) for line in lines if line)
    cited = sum(bool(_CITED.search(sentence)) for sentence in kept)
    return Checked(shown, tuple(dropped), cited, len(kept))


def _sentences(line: str) -> list[str]:
    return [part.strip() for part in _SENTENCE_END.split(line) if part and part.strip()]


def _objection(sentence: str, evidence: Evidence) -> str:
    ids = _CITED.findall(sentence)
    facts = [fact for id in ids if (fact := evidence.fact(id)) is not None]
    if len(facts) < len(ids):
        known = {fact.id for fact in facts}
        return f"there is no fact {next(id for id in ids if id not in known)}"
    plain = _ID.sub("", sentence)
    if untrue := _outcome_objection(plain, evidence):
        return untrue
    for name, literal in _CLAIM.findall(plain):
        recorded = list(_recorded(name, facts or evidence.facts))
        if recorded and not any(_equal(literal, value) for value in recorded):
            return f"{name} was {' or '.join(recorded)}"
    return ""


def _outcome_objection(sentence: str, evidence: Evidence) -> str:
    """What is said to have been expected and to have come, against what was."""
    expected, got = _EXPECTED.search(sentence), _GOT.search(sentence)
    if expected and evidence.expected is not None and not _equal(expected[1], evidence.expected):
        return f"the test expected {evidence.expected}"
    if got and evidence.actual is not None and not _equal(got[1], evidence.actual):
        return f"it got {evidence.actual}"
    if got and evidence.actual is None and evidence.exception:
        return f"it ended with {evidence.exception}"
    return ""


def _cited(sentence: str, evidence: Evidence) -> str:
    """The sentence with the id of the last fact whose statement it quotes, when it cites none itself."""
    if _ID.search(sentence):
        return sentence
    for quoted in _QUOTED.findall(sentence):
        quoting = [fact for fact in evidence.facts if not quoted.isidentifier() and quoted in fact.source]
        if quoting:
            return f"{sentence.rstrip('.')} ({quoting[-1].id})."
    return sentence


def _recorded(name: str, facts: Sequence[Fact]) -> Iterator[str]:
    """What the facts say of a name."""
    yield from dict.fromkeys(value for fact in facts for value in fact.values.get(name, ()))


def _equal(claimed: str, recorded: str) -> bool:
    if claimed == recorded or "…" in recorded or "..." in recorded:
        return True
    try:
        return bool(ast.literal_eval(claimed) == ast.literal_eval(recorded))
    except (ValueError, SyntaxError):
        return False


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
        yield f"{lead} line {fact.line}, `{fact.source}`{when}: {_short(fact.effect)} ({fact.id})."


def _telling(evidence: Evidence) -> list[Fact]:
    """The facts that say what a line did, nearest to the failure first."""
    nearest = sorted(evidence.facts, key=lambda fact: (fact.distance, -fact.order))
    return [fact for fact in nearest if fact.effect not in ("", "goes on", "ends")]


def _given(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {_short(text)}" for name, text in values.items())


def _short(text: str) -> str:
    """A rendering that does not drown the sentence it stands in."""
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
