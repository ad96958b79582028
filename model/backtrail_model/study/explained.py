"""The judge of explanations: is the line they name at fault, and what else does the trace contradict?

Right means top-1 accuracy of fault localisation (as in Kochhar et al. 2016, ISSTA): the one line that the
answer concludes to be wrong is one that the reference changes (`faults.py`). The sentences are checked as
the product checks them (`claims.py`), but against everything that was recorded rather than what the prompt
had room for: a representation that shows less is not contradicted less for that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from attrs import evolve, field, frozen

from backtrail_model.claims import check
from backtrail_model.evidence import Evidence, gather
from backtrail_model.evidence.facts import Fact, source_line
from backtrail_model.evidence.lines import Line
from backtrail_model.repair import prepare
from backtrail_model.study.faults import Fault, fault
from backtrail_model.study.replay import Replay, Unusable
from backtrail_model.study.solvers.explaining import concluded
from backtrail_model.study.tasks import Item
from backtrail_tracer import statements
from backtrail_tracer.trace import Hit

MOST_SHARE = 0.5
"""Where more of the executed statements are at fault, a blind guess is right more often than not."""
NEARLY_ALL = "the reference changes more than half of the statements that the failing test ran"
LAST = "the line that raised, else the last that ran"
SUSPECT = "the first suspect of the repair"
RANDOM = "a random executed statement"
WHOLE = 1_000_000
"""Tokens of facts: more than any recording holds."""
EVERYTHING = ("slice", "code_executor")
"""What these two show without a budget is all that was recorded in functions that matter."""


@frozen
class Claims:
    """How the sentences of one explanation stand, see `claims.py`. `dropped` has a reason for each."""

    cited: int
    checked: int
    guess: int
    dropped: tuple[str, ...]

    @property
    def counts(self) -> Counter[str]:
        counted = {"cited": self.cited, "checked": self.checked, "guess": self.guess}
        return Counter({**counted, "dropped": len(self.dropped)})


@frozen
class Explained:
    """The truth about one item: `fault` by the reference, `record` by the trace of the visible tests.

    `baselines` say what a line that is named without a model is worth, by the name of the rule: 1 when it is
    at fault, 0 when not; between them for the random one, whose chance is exact.
    """

    fault: Fault
    record: Evidence = field(repr=False)
    baselines: Mapping[str, float]

    def right(self, named: str) -> bool:
        """Whether the number of a line, as an answer gives it, is that of a line at fault."""
        return int(named) in self.fault.lines

    def claims(self, answer: str) -> Claims:
        checked = check(concluded(answer), self.record)
        standings = Counter(claim.standing for claim in checked.claims)
        return Claims(standings["cited"], standings["checked"], standings["guess"], checked.dropped)


def explained(item: Item, replay: Replay) -> Explained | Unusable:
    """The truth about one item; or why there is none that would prove anything."""
    truth = fault(item.task.source, item.secret.reference)
    if isinstance(truth, Unusable):
        return truth
    executed = _executed(replay)
    if executed and len(truth.lines & executed) > MOST_SHARE * len(executed):
        return Unusable(NEARLY_ALL)
    return Explained(truth, _record(replay), dict(_baselines(replay, truth, executed)))


def _executed(replay: Replay) -> frozenset[int]:
    """The first lines of the statements inside functions of the program that the failing test ran."""
    found = statements.parse(replay.task.source)
    ran = (found.at(hit.line) for hit in _hits(replay, replay.failure.item))
    return frozenset(one.line for one in ran if one is not None and one.function != "<module>")


def _hits(replay: Replay, *items: int | None) -> list[Hit]:
    """What these items (None: the import) recorded in the program."""
    trace = replay.trace
    found = (hit for hits in trace.lines(replay.path).values() for hit in hits)
    return [hit for hit in found if trace.frames[hit.frame].item in items]


def _baselines(replay: Replay, truth: Fault, executed: frozenset[int]) -> Iterator[tuple[str, float]]:
    yield LAST, float(_last(replay) in truth.lines)
    suspects = prepare(replay.trace, replay.failure, replay.source_of).suspects
    yield SUSPECT, float(bool(suspects) and suspects[0].line in truth.lines)
    yield RANDOM, len(truth.lines & executed) / len(executed) if executed else 0.0


def _last(replay: Replay) -> int:
    """The line of the program that raised; of a wrong result the last that ran; 0 where none is known."""
    raised = (frame.line for frame in reversed(replay.failure.frames) if frame.path == replay.path)
    last = max(_hits(replay, replay.failure.item), key=lambda hit: hit.order, default=None)
    return next(raised, last.line if last else 0)


def _record(replay: Replay) -> Evidence:
    """All that was recorded, as evidence; its lines are those of the whole program, which the model sees."""
    shown = [
        gather(replay.trace, replay.failure, replay.source_of, representation=name, budget=WHOLE)
        for name in EVERYTHING
    ]
    facts: dict[str, Fact] = {fact.id: fact for one in shown for fact in (*one.facts, *one.omitted)}
    lines = dict(_lines(replay))
    return evolve(shown[0], facts=tuple(facts.values()), omitted=(), code=replay.task.source, lines=lines)


def _lines(replay: Replay) -> Iterator[tuple[int, tuple[Line, ...]]]:
    """As `evidence.lines` has them of what a prompt of the product shows."""
    text, trace = replay.task.source.splitlines(), replay.trace
    found = statements.parse(replay.task.source)
    ran = {hit.line for hit in _hits(replay, replay.failure.item, None)}
    unsure = bool(trace.limits) or any(cap.path == replay.path and cap.line == 0 for cap in trace.caps)
    for number, line in enumerate(text, 1):
        statement = found.at(number)
        if statement is None:
            yield number, (Line(line.strip(), line.strip(), None),)
            continue
        span = range(statement.line, statement.end_line + 1)
        seen = True if ran & set(span) else None if unsure else False
        yield number, (Line(source_line(statement), "\n".join(text[span[0] - 1 : span[-1]]), seen),)
