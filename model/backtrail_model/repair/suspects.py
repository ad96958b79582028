"""Which statement to try first.

Four things are multiplied: how near the failure the statement is in the slice, how much more often
failing runs execute it than passing ones (Ochiai), how much there is in it that can be wrong, and
what looks wrong about its hits.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen

from backtrail_model.evidence.facts import branch_taken
from backtrail_model.repair.candidates import Original
from backtrail_tracer.slicing import History, Slice
from backtrail_tracer.statements import FUNCTIONS, Statement
from backtrail_tracer.trace import Failure, Trace

NEARNESS = 0.2  # how fast suspicion falls with the slice's distance
OUTSIDE = 0.12  # executed in the failing run, but not in the slice
PLAIN = 0.55  # `return x`, `x = 0`: little in it can be wrong
DEFAULT = 0.4  # the default of an argument, as against what the function does with it
NOT_RUN = 0.3
RAISED = 1.3
ONE_WAY = 1.15  # a branch that went the same way at every hit
NOT_STATEMENTS = (
    ast.ClassDef,
    ast.Import,
    ast.ImportFrom,
    ast.Global,
    ast.Nonlocal,
    ast.Try,
    ast.Pass,
)

Place = tuple[Path, int]


@frozen
class Suspect:
    """A statement (or header) of the code under test; `start` and `end` are offsets in its file's text."""

    path: Path
    statement: Statement
    start: int
    end: int
    score: float
    reasons: tuple[str, ...]

    @property
    def line(self) -> int:
        return self.statement.line


def rank(
    history: History, failure: Failure, sliced: Slice, originals: Mapping[Path, Original]
) -> tuple[Suspect, ...]:
    """The executed statements outside the tests, most suspicious first; ties in order of place."""
    spectrum = Spectrum.of(history.trace, failure)
    distances = sliced.distances(history.trace)
    found = [
        _judge(history, original, statement, distances, spectrum)
        for original in originals.values()
        for statement in original.source.statements
        if _may_be_wrong(original, statement) and spectrum.failing(_places(original, statement))
    ]
    return tuple(sorted(found, key=lambda one: (-one.score, str(one.path), one.start)))


def unexecuted(trace: Trace, original: Original, first: int, last: int) -> tuple[Suspect, ...]:
    """The statements between two lines that the run did not come to. They have no part in this failure, but
    may have one in the next, once it is repaired."""
    ran = trace.lines(original.path)
    source = original.source
    return tuple(
        Suspect(original.path, one, *source.statement_span(one), NOT_RUN, ("not executed",))
        for one in source.statements
        if first <= one.line <= last and _may_be_wrong(original, one) and one.line not in ran
    )


@frozen
class Spectrum:
    """Which failing and passing items executed each line. A run without items counts as one."""

    items: Mapping[Place, frozenset[int | None]]
    failed: frozenset[int | None]

    @classmethod
    def of(cls, trace: Trace, failure: Failure) -> Spectrum:
        table: dict[Place, set[int | None]] = {}
        for hit in trace.hits:
            frame = trace.frames[hit.frame]
            table.setdefault((frame.code.path, hit.line), set()).add(frame.item)
        failed = {item.id for item in trace.failed_items} | {failure.item}
        return cls({place: frozenset(items) for place, items in table.items()}, frozenset(failed))

    def _of(self, places: Iterable[Place]) -> frozenset[int | None]:
        return frozenset().union(*(self.items.get(place, frozenset()) for place in places))

    def failing(self, places: Iterable[Place]) -> bool:
        return bool(self._of(places) & self.failed)

    def ochiai(self, places: Iterable[Place]) -> float:
        """ef / sqrt(F · (ef + ep)): 1 when exactly the failing items ran it."""
        items = self._of(places)
        failing = len(items & self.failed)
        return failing / math.sqrt(len(self.failed) * len(items)) if failing else 0.0


def _places(original: Original, statement: Statement) -> list[Place]:
    """The lines that tell who ran a statement. The defaults in the head of a function take part when it is
    called, not when it is defined."""
    path, lines = original.path, range(statement.line, statement.end_line + 1)
    if isinstance(statement.node, FUNCTIONS):
        lines = range(statement.node.body[0].lineno, (statement.node.end_lineno or statement.line) + 1)
    return [(path, line) for line in lines]


def _may_be_wrong(original: Original, statement: Statement) -> bool:
    if isinstance(statement.node, FUNCTIONS):
        arguments = statement.node.args
        has_default = bool(arguments.defaults or any(arguments.kw_defaults))
        return has_default and not original.tests.holds(original.path, statement.node.name)
    if isinstance(statement.node, NOT_STATEMENTS) or original.tests.holds(original.path, statement.function):
        return False
    docstring = isinstance(statement.node, ast.Expr) and isinstance(statement.node.value, ast.Constant)
    return (not docstring and statement.function != "<module>") or isinstance(statement.node, ast.Assign)


def _judge(
    history: History,
    original: Original,
    statement: Statement,
    distances: Mapping[Place, float],
    spectrum: Spectrum,
) -> Suspect:
    places = _places(original, statement)
    distance = min((distances[place] for place in places if place in distances), default=None)
    score = OUTSIDE if distance is None else 1 / (1 + NEARNESS * distance)
    reasons = ["not in the slice" if distance is None else f"{distance:g} steps from the failure"]
    ochiai = spectrum.ochiai(places)
    score *= 0.4 + 0.6 * ochiai
    if ochiai < 1:
        reasons.append(f"passing tests run it too (Ochiai {ochiai:.2f})")
    if isinstance(statement.node, FUNCTIONS):
        score *= DEFAULT
        reasons.append("a default may be wrong")
    elif _is_plain(statement.node):
        score *= PLAIN
        reasons.append("there is little in it")
    for factor, reason in _hints(history, original.path, statement):
        score *= factor
        reasons.append(reason)
    start, end = original.source.statement_span(statement)
    return Suspect(original.path, statement, start, end, score, tuple(reasons))


def _is_plain(node: ast.stmt) -> bool:
    """Only names, and constants that everything starts with."""
    match node:
        case ast.Assign(targets=[ast.Subscript() | ast.Attribute()], value=ast.Name()):
            return False  # what was there before may be missing in it
        case ast.Return(value=value) | ast.Assign(value=value) | ast.AnnAssign(value=value):
            pass
        case ast.Break() | ast.Continue():
            return True
        case _:
            return False
    empty = isinstance(value, ast.List | ast.Dict | ast.Tuple) and not list(ast.iter_child_nodes(value))[1:]
    return value is None or isinstance(value, ast.Name | ast.Constant) or empty


def _hints(history: History, path: Path, statement: Statement) -> Iterable[tuple[float, str]]:
    hits = history.trace.lines(path).get(statement.line, ())
    if any(hit.raised for hit in hits):
        yield RAISED, "an exception left it"
    ways = {branch_taken(history, hit, statement) for hit in hits}
    if len(hits) > 1 and ways in ({True}, {False}) and isinstance(statement.node, ast.If | ast.While):
        yield ONE_WAY, f"{'always' if ways == {True} else 'never'} taken"
