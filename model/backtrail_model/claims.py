"""Holds what a model says of a failure against the record, sentence by sentence.

A sentence that contradicts the record is dropped. One that stays either rests on the record or is marked
as the model's guess: what is wrong and what should be done about it stands in no trace.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal

from attrs import frozen

from backtrail_model.evidence import Evidence, Fact
from backtrail_model.evidence.lines import Line
from backtrail_tracer.literals import is_literal

Standing = Literal["cited", "checked", "guess"]
"""`cited`: names a fact that exists and says nothing else of its values. `checked`: names none, but a value
or an outcome that it tells is the recorded one. `guess`: nothing in it could be checked."""

GUESS = "The model's guess:"
GUESS_OF_WRONG = "The model's guess of what is wrong:"
MOST_CHARACTERS = 72
"""Of a line of code beside a guess, and of one value in a summary; the prompt has the whole."""

_ID = re.compile(r"(?:[\w.-]+:)?L\d+(?:#\d+)?")
_CITED = re.compile(r"(?:[\w.-]+:)?L\d+#\d+")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?:[ \t]+(?=[A-Z`(\"'])|\s*$)")
_LITERAL = r"(-?\d+(?:\.\d+)?|\[[^\]]*\]|\([^)]*\)|\{[^}]*\}|'[^']*'|\"[^\"]*\"|True|False|None)"
_QUOTED = re.compile(r"`([^`\n]{6,})`")  # shorter ones are names, not statements
_VERB = r"(?:is|was|becomes|became|equals|has the value|holds|=|==)"
_EXPECTED = re.compile(rf"\btest expect(?:s|ed)\s+`?{_LITERAL}(?![\w(\[]|\.\d)")
_GOT = re.compile(rf"\bbut (?:it )?(?:got|gets)\s+`?{_LITERAL}(?![\w(\[]|\.\d)")
_COUNTED = re.compile(r"\bexpect(?:s|ed)\s+\S+\s+(?:items?|elements?|values?)\b")  # and names no value
_CLAIM = re.compile(rf"`?\b([A-Za-z_]\w*)`?\s+{_VERB}\s+`?{_LITERAL}(?![\w(\[]|\.\d)")
_RAISED = re.compile(
    r"\b(?:raise[sd]?|got|gets|end(?:s|ed) with)\s+(?:an?\s+)?`?([A-Z]\w*(?:Error|Exception))\b"
)
_WRONG = re.compile(r"^[\s*_-]*wrong:[\s*_]*", re.IGNORECASE)
_PROPOSES = re.compile(r"\b(?:should|must|ought|needs? to|has to|have to|would|instead of|rather than)\b")
_INSTEAD = re.compile(r"\b(?:instead of|rather than)\b")
_LINE = re.compile(r"\bline (\d+)\b", re.IGNORECASE)
_IS_LINE = re.compile(
    r"\bline (\d+)\s*(?:,|:|\(|is|has|says|reads|contains|holds)?\s*`([^`\n]+)`", re.IGNORECASE
)
_CODE = re.compile(r"`([^`\n]+)`")
_NOT_RUN = re.compile(r"\b(?:never|skip\w*|unreach\w*|not (?:run|executed|reached|taken))\b|n't\b")


@frozen
class Claim:
    """One sentence of a model's, or what is left of its line. `beside` is the code that a guess speaks of."""

    text: str
    standing: Standing
    wrong: bool = False  # it is the line that was asked to say what is wrong
    beside: str = ""


@frozen
class Checked:
    """An explanation without the sentences that the trace does not bear out. `dropped` says why, one each."""

    lines: tuple[tuple[Claim, ...], ...]
    dropped: tuple[str, ...]

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(claim for line in self.lines for claim in line)

    @property
    def text(self) -> str:
        """As markdown, a paragraph for each line that is left; guesses stand apart and are called so."""
        parts = (list(group) for line in self.lines for _, group in groupby(line, _is_guess))
        return "\n\n".join(map(_paragraph, parts))

    @property
    def sentences(self) -> int:
        return len(self.claims)

    @property
    def cited(self) -> int:
        return sum(claim.standing == "cited" for claim in self.claims)

    @property
    def guesses(self) -> int:
        return sum(map(_is_guess, self.claims))


def _is_guess(claim: Claim) -> bool:
    return claim.standing == "guess"


def _paragraph(claims: Sequence[Claim]) -> str:
    said = " ".join(claim.text + (f" ({claim.beside})" if claim.beside else "") for claim in claims)
    if not _is_guess(claims[0]):
        return said
    return f"*{GUESS_OF_WRONG if claims[0].wrong else GUESS}* {said}"


def check(text: str, evidence: Evidence) -> Checked:
    """Drops the sentences that contradict the record, and tells what the others rest on.

    A sentence that cites nothing, as those of small models often do, is held against all facts, and
    gets the id of a fact whose statement it quotes.
    """
    lines: list[tuple[Claim, ...]] = []
    dropped: list[str] = []
    for line in text.splitlines():
        kept: list[Claim] = []
        wrong = bool(_WRONG.match(line))
        for sentence in _sentences(_WRONG.sub("", line)):
            reason = _objection(sentence, evidence)
            if reason:
                dropped.append(f"{reason}: {sentence}")
            else:
                kept.append(_claim(sentence, evidence, wrong=wrong))
        if kept:
            lines.append(tuple(kept))
    return Checked(tuple(lines), tuple(dropped))


def _sentences(line: str) -> list[str]:
    return [part.strip() for part in _SENTENCE_END.split(line) if part and part.strip()]


def _claim(sentence: str, evidence: Evidence, *, wrong: bool) -> Claim:
    if wrong or _PROPOSES.search(sentence):
        return Claim(sentence, "guess", wrong, _beside(sentence, evidence))
    cited = _with_id(sentence, evidence)
    if _CITED.search(cited):
        return Claim(cited, "cited")
    return Claim(cited, "checked" if _borne_out(cited, evidence) else "guess")


def _with_id(sentence: str, evidence: Evidence) -> str:
    """The sentence with the id of the last fact whose statement it quotes, when it cites none itself."""
    if _ID.search(sentence):
        return sentence
    for quoted in _QUOTED.findall(sentence):
        quoting = [fact for fact in evidence.facts if not quoted.isidentifier() and quoted in fact.source]
        if quoting:
            return f"{sentence.rstrip('.')} ({quoting[-1].id})."
    return sentence


def _beside(sentence: str, evidence: Evidence) -> str:
    """What stands on the line that a guess names, so that a wrong number is seen at once."""
    named = list(dict.fromkeys(map(int, _LINE.findall(sentence))))
    lines = evidence.lines.get(named[0], ()) if len(named) == 1 else ()
    if len(lines) != 1 or not lines[0].text or _squeezed(lines[0].text) in _squeezed(sentence):
        return ""
    return f"line {named[0]} is `{short(lines[0].text)}`"


def short(text: str) -> str:
    """A piece of code or a rendering that does not drown the sentence it stands in."""
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _borne_out(sentence: str, evidence: Evidence) -> bool:
    """Whether something in a sentence, to which there is no objection, is known to be so."""
    if any(_compared(sentence)) and (evidence.actual or evidence.check):
        return True
    if any(kind in evidence.exception for kind in _RAISED.findall(sentence)):
        return True
    return any(name in fact.values for name, _ in _CLAIM.findall(sentence) for fact in evidence.facts)


def _objection(sentence: str, evidence: Evidence) -> str:
    """Why a sentence cannot be true; empty when the record does not say so."""
    ids = _CITED.findall(sentence)
    facts = [fact for id in ids if (fact := evidence.fact(id)) is not None]
    if len(facts) < len(ids):
        known = {fact.id for fact in facts}
        return f"there is no fact {next(id for id in ids if id not in known)}"
    plain = _ID.sub("", sentence)
    return (
        _outcome_objection(plain, evidence)
        or _value_objection(plain, facts or evidence.facts)
        or _line_objection(plain, evidence)
        or _code_objection(plain, evidence)
    )


def _compared(sentence: str) -> tuple[re.Match[str] | None, re.Match[str] | None]:
    """What a sentence says the test expected, and what it says came."""
    if _COUNTED.search(sentence):
        return None, None
    return _EXPECTED.search(sentence), _GOT.search(sentence)


def _outcome_objection(sentence: str, evidence: Evidence) -> str:
    """What is said to have been expected and to have come, against what was."""
    expected, got = _compared(sentence)
    if expected and evidence.expected is not None and not _equal(expected[1], evidence.expected):
        return f"the test expected {evidence.expected}"
    if got and evidence.actual is not None and not _equal(got[1], evidence.actual):
        return f"it got {evidence.actual}"
    if expected and evidence.expected is None and evidence.check:
        return evidence.check
    if got and evidence.actual is None and evidence.check and f" was {got[1]}" not in evidence.check:
        return evidence.check
    if got and evidence.actual is None and evidence.exception:
        return f"it ended with {evidence.exception}"
    told = f"{evidence.to_text()}\n{evidence.code}"
    unheard = [kind for kind in _RAISED.findall(_existing(sentence)) if kind not in told]
    return f"nothing raised {unheard[0]}" if unheard else ""


def _value_objection(sentence: str, facts: Sequence[Fact]) -> str:
    for name, literal in _CLAIM.findall(_existing(sentence)):
        recorded = list(_recorded(name, facts))
        if recorded and not any(_equal(literal, value) for value in recorded):
            return f"{name} was {' or '.join(recorded)}"
    return ""


def _line_objection(sentence: str, evidence: Evidence) -> str:
    """A line that is spoken of has to be one of those shown, and has to have run unless that is denied."""
    if not evidence.lines:
        return ""
    for number in map(int, _LINE.findall(sentence)):
        lines = evidence.lines.get(number, ())
        if not lines:
            return f"there is no line {number} in the code it saw"
        if not _NOT_RUN.search(sentence) and all(line.ran is False for line in lines):
            return f"line {number} did not run"
    return ""


def _code_objection(sentence: str, evidence: Evidence) -> str:
    """Code that is quoted as being there has to be there. What should be there is a proposal."""
    existing = _existing(sentence)
    for number, quoted in _IS_LINE.findall(existing):
        lines = evidence.lines.get(int(number), ())
        if lines and not any(_holds(line, quoted) for line in lines):
            return f"line {number} is `{lines[0].text}`"
    if not evidence.lines:
        return ""
    shown = _squeezed(f"{evidence.code}\n{evidence.to_text()}\n{evidence.test.source}")
    for quoted in _CODE.findall(existing):
        if not _is_plain(quoted) and _squeezed(quoted) not in shown:
            return f"`{quoted}` stands nowhere in what it saw"
    return ""


def _existing(sentence: str) -> str:
    """What of a sentence is about the code as it is: before "should", and after "instead of"."""
    proposal = _PROPOSES.search(sentence)
    if proposal is None:
        return sentence
    instead = _INSTEAD.search(sentence, proposal.start())
    return sentence[: proposal.start()] + (f" … {sentence[instead.end() :]}" if instead else "")


def _is_plain(quoted: str) -> bool:
    """A name, a call of one without arguments, or a value: too little to be looked up in code."""
    if quoted.removesuffix("()").replace(".", "").isidentifier():
        return True
    return is_literal(quoted)


def _holds(line: Line, quoted: str) -> bool:
    return any(_squeezed(quoted) in _squeezed(text) for text in (line.text, line.written))


def _squeezed(text: str) -> str:
    """Without what a quotation may lose: blanks, the kind of quotes, the colon at the end."""
    return re.sub(r"\s+", "", text).replace('"', "'").removesuffix(":").removesuffix("()")


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
