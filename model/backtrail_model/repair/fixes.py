"""A fix: a candidate that was run and passed, with what a person needs to judge and apply it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from attrs import field, frozen

from backtrail_model.repair.candidates import Candidate, Prompted
from backtrail_model.repair.flags import orphans
from backtrail_model.repair.verdicts import Verdict

AGREED = 2.0
"""So much weight of independent proposals makes a second opinion, see `votes.py`."""
ENOUGH_TESTS = 2
MANY_TESTS = 3
"""So many tests that run the changed function say more than what models think of it. In the run of
humanevalfix-dev in docs/figures.md each edit without a model that passed three or more and was offered was
right, and one of them gave way to answers of a model that agreed and were wrong."""
LITTLE = "little evidence"
_TOKEN = re.compile(r"\w+|[^\w\s]|\n\s*")


@frozen
class LineEdit:
    """Lines `start` … `end` - 1 (0-based) become `new_text`, which ends with a newline unless it is empty
    or the file's end has none."""

    start: int
    end: int
    new_text: str


@frozen
class Fix:
    """`votes` counts the answers of models that were this very program; `agreed` weighs all proposals that
    behave like it, `questions` counts the prompts that led to them. `vouching` tests run the changed
    function, `remaining` of them fail as they did before; `examples` of its docstring hold; `size` is in
    tokens that change."""

    candidate: Candidate
    verdict: Verdict
    changes: str  # "changes 1 line"
    edits: tuple[LineEdit, ...]
    diff: str
    seconds: float  # since the search began
    proposer: str
    flags: tuple[str, ...]
    votes: int = 0
    agreed: float = 0.0
    questions: int = 0
    vouching: int = ENOUGH_TESTS
    remaining: int = 0
    examples: int = 0
    tested: bool = False  # MANY_TESTS vouch for each fix that it is compared with
    orphans: int = 0  # names that are written, but no longer read
    size: int = 0
    before: str = field(default="", repr=False)

    @property
    def seconded(self) -> bool:
        """Independent proposals agree on what it does. Where one test alone is for it, samples of one prompt
        are not enough: they fit that test by the same chance."""
        asked = self.questions > 1 or self.vouching >= ENOUGH_TESTS
        return self.agreed >= AGREED and asked

    @property
    def little(self) -> bool:
        """One test alone says that it is right, and no second opinion."""
        return self.vouching < ENOUGH_TESTS and not self.seconded

    @property
    def honest(self) -> bool:
        """Passed everything and looks honest; may be applied when a person asks for that."""
        return self.verdict.passed and not self.flags

    @property
    def preferred(self) -> bool:
        """Honest, and not by one test's word only; an editor may apply it as the obvious choice."""
        return self.honest and not self.little

    @property
    def title(self) -> str:
        little = f", {LITTLE}" if self.little else ""
        said = "".join(f"; {flag}" for flag in self.flags)
        return f"{self.verdict.summary}{little}, {self.changes}{said}"

    @property
    def prompted(self) -> Prompted | None:
        """What the model saw, when a model proposed it."""
        return self.candidate.prompted

    @property
    def rank(self) -> tuple[int, int, float, int, int, float, int, float, str]:
        """Smaller is better. Honest first, then what the docstring bears out, then what independent proposals
        agree on, then the smallest change; where there are many tests, that before what is agreed on."""
        opinion, agreed = 0.0 if self.tested else -round(self.agreed, 1), -round(self.agreed, 1)
        small = (self.orphans, self.size, agreed, -self.votes, -self.candidate.promise, self.candidate.key)
        return (len(self.flags), -self.examples, opinion, *small)


def fix_of(
    candidate: Candidate,
    before: str,
    verdict: Verdict,
    *,
    seconds: float,
    flags: tuple[str, ...],
    vouching: int = ENOUGH_TESTS,
    remaining: int = 0,
) -> Fix:
    edits = tuple(line_edits(before, candidate.text))
    changed = sum(max(edit.end - edit.start, edit.new_text.count("\n")) for edit in edits)
    lines = "line" if changed == 1 else "lines"
    return Fix(
        candidate=candidate,
        verdict=verdict,
        changes=f"changes {changed} {lines}",
        edits=edits,
        diff=diff(before, candidate.text, candidate.path.name),
        seconds=seconds,
        proposer=candidate.proposer,
        flags=flags,
        vouching=vouching,
        remaining=remaining,
        orphans=orphans(before, candidate.text),
        size=size_of(before, candidate.text),
        before=before,
    )


def line_edits(before: str, after: str) -> Iterator[LineEdit]:
    """Only the lines that change; applied from the last to the first they turn one text into the other."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for tag, start, end, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield LineEdit(start, end, "".join(new[first:last]))


def diff(before: str, after: str, name: str) -> str:
    """A unified diff with three lines of context."""
    old, new = before.splitlines(), after.splitlines()
    return "\n".join(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", lineterm="")) + "\n"


def size_of(before: str, after: str) -> int:
    """How many tokens go or come. Layout counts only where it means something."""
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return sum((end - start) + (last - first) for tag, start, end, first, last in blocks if tag != "equal")
