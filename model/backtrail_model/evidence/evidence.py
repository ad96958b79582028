"""The few facts about one failure that a person or a model needs, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from backtrail_model.evidence.facts import Fact
from backtrail_model.evidence.lines import Line


@frozen
class TestCase:
    """The test that failed. `assertion` is the statement that failed in it."""

    __test__ = False  # not a test class of pytest's

    name: str
    path: Path | None
    line: int
    source: str
    assertion: str


@frozen
class Call:
    """The call that the test made into the code under test, with recorded arguments."""

    function: str
    path: Path
    line: int  # first line of the function
    text: str  # "mean([1, 2], default=0)"
    result: str | None


@frozen
class Place:
    """A user's frame of the traceback, outermost first, with its variables."""

    path: Path
    line: int
    function: str
    values: Mapping[str, str]


@frozen
class Evidence:
    """See `gather`. Values are renderings; None where nothing was recorded."""

    representation: str
    test: TestCase
    call: Call | None
    expected: str | None
    actual: str | None
    difference: str
    check: str  # "`stock > 0` is false: `stock` was 0", where no two values were to be the same
    exception: str  # "TypeError: …"; empty for a failed check of a test
    places: tuple[Place, ...]
    code: str = field(repr=False)  # the functions it came from, fenced; for prompts
    body: str  # the facts as the representation writes them
    facts: tuple[Fact, ...]
    omitted: tuple[Fact, ...] = field(repr=False)  # recorded and of interest, but there was no room
    with_outcome: bool
    limits: tuple[str, ...]  # what the trace itself does not know
    lines: Mapping[int, tuple[Line, ...]] = field(factory=dict, repr=False)  # those it shows, by number

    @property
    def left_out(self) -> int:
        return len(self.omitted)

    def to_text(self) -> str:
        """What goes into a prompt. Empty for the representation `none`."""
        parts = [self.outcome()] if self.with_outcome else []
        if self.body:
            parts.append(self.body)
        if self.left_out and self.facts:
            parts.append(f"({self.left_out} more recorded hits are not shown)")
        parts += [f"(not known: {limit})" for limit in self.limits if self.facts]
        return "\n".join(part for part in parts if part)

    def outcome(self) -> str:
        """The failing test and call, expected and actual or what else was asked for, one a line."""
        rows = [
            ("failing test", self.test.name),
            ("assertion", self.test.assertion),
            ("call", self.call.text if self.call else ""),
            ("expected", self.expected or ""),
            ("actual", self.actual or ""),
            ("difference", self.difference),
            ("compared", self.check),
            ("exception", self.exception),
            ("raised at", self._raised_at()),
        ]
        return "\n".join(f"{name}: {text}" for name, text in rows if text)

    def omitted_text(self) -> str:
        """What the budget left out, one fact a line, in execution order: for a person, never for a prompt."""
        return "\n".join(map(str, sorted(self.omitted, key=lambda fact: fact.order)))

    def fact(self, id: str) -> Fact | None:
        return next((fact for fact in self.facts if fact.id == id), None)

    def _raised_at(self) -> str:
        if not self.exception or not self.places:
            return ""
        place = self.places[-1]
        values = ", ".join(f"{name} = {text}" for name, text in place.values.items())
        return f"line {place.line} in {place.function}" + (f", with {values}" if values else "")
