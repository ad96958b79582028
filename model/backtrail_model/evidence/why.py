"""Why a value is what it is: the recorded hits that it came from, as a chain for a person. No model."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

from backtrail_model.evidence.facts import Fact, fact_of
from backtrail_model.evidence.folding import fold
from backtrail_model.evidence.ranking import ranked
from backtrail_tracer.literals import literal_of, value_of
from backtrail_tracer.slicing import History, SourceOf, Step, backward_slice
from backtrail_tracer.statements import FUNCTIONS
from backtrail_tracer.trace import Frame, Hit, Trace, Value

MOST = 12
"""Links of a chain. A person reads a dozen lines; what is left out is counted."""
_DULL = (ast.Import, ast.ImportFrom, ast.ClassDef, *FUNCTIONS)


@frozen
class Link:
    """One hit that the value came from, and what it has to do with it."""

    fact: Fact
    because: str  # "gave `total` its value"


@frozen
class Chain:
    """Where a value came from, latest first. `value` is None where it was not recorded."""

    expression: str
    path: Path
    line: int
    value: str | None
    links: tuple[Link, ...]
    left_out: int
    limits: tuple[str, ...]

    @property
    def title(self) -> str:
        if not self.expression:
            return f"What {self.path.name}:{self.line} came from"
        told = f"is {self.value}" if self.value is not None else "was not recorded"
        return f"Why {self.expression} {told} at {self.path.name}:{self.line}"


@frozen
class _Asked:
    expression: str
    path: Path
    line: int


def why(trace: Trace, source_of: SourceOf, path: Path, line: int, expression: str = "") -> Chain | None:
    """The chain of an expression at a line (1-based) of a file; without an expression, of all the line reads.

    Of several times that the line ran, the last one in the first failing test is meant, else the last one.
    None when nothing was recorded there that could tell.
    """
    history, names = History(trace, source_of), _names(expression)
    asked = _Asked(expression, path, line)
    hit = _meant(history, path, line, names)
    if hit is None:
        return _of_argument(history, asked, names)
    written = _writes(history, hit, names)
    known = _value(history, hit, expression, after=written)
    if names and known is None and not written and not _reads(history, hit, names):
        return None
    steps = backward_slice(history, hit, None if written or not names else names).steps
    told = steps if written else [step for step in steps if step.hit is not hit]
    return _chain(history, asked, known.text if known is not None else None, told)


def _names(expression: str) -> frozenset[str]:
    try:
        tree = ast.parse(expression.strip() or "()", mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def _meant(history: History, path: Path, line: int, names: frozenset[str]) -> Hit | None:
    """The hit that a person means who points at a line; any line of a statement stands for it."""
    statement = history.statements(path).at(line)
    lines = range(statement.line, statement.end_line + 1) if statement is not None else (line,)
    hits = [hit for each in (line, *lines) for hit in history.trace.lines(path).get(each, ())]
    if statement is not None and isinstance(statement.node, FUNCTIONS) and names & _arguments(statement.node):
        return None  # the hit of a `def` is its definition; its arguments have their values in calls
    failing = {failure.item for failure in history.trace.failures[:1]}
    own = [hit for hit in hits if history.trace.frames[hit.frame].item in failing]
    return max(own or hits, key=lambda hit: hit.order, default=None)


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    return frozenset(one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg))


def _writes(history: History, hit: Hit, names: frozenset[str]) -> bool:
    covering = history.statements(history.path(hit)).covering(hit.line)
    return any(names & one.writes for one in covering) or bool(names & hit.changed.keys())


def _reads(history: History, hit: Hit, names: frozenset[str]) -> bool:
    return any(names & one.reads for one in history.statements(history.path(hit)).covering(hit.line))


def _value(history: History, hit: Hit, expression: str, *, after: bool) -> Value | None:
    """A name's recorded value, or what follows from recorded values; None for what would need a call."""

    def held(name: str) -> Value | None:
        own = history.value(hit.frame, name, hit.order + after)
        process = history.trace.frames[hit.frame].process
        module = history.trace.module_frame(history.path(hit), process)
        return own or (history.value(module.id, name, hit.order) if module is not None else None)

    if expression.isidentifier():
        return held(expression)
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return value_of(tree, lambda name: literal_of(held(name)))


def _of_argument(history: History, asked: _Asked, names: frozenset[str]) -> Chain | None:
    """The chain of an argument, pointed at in the signature: from the call that gave it."""
    frame = _called(history, asked, names)
    if frame is None:
        return None
    site = history.call_site(frame)
    began = next((hit.order for hit in history.hits(frame.id)), None)
    steps = backward_slice(history, site, until=began).steps if site is not None else ()
    value = next((frame.arguments[name].text for name in sorted(names) if name in frame.arguments), None)
    return _chain(history, asked, value, steps)


def _called(history: History, asked: _Asked, names: frozenset[str]) -> Frame | None:
    """The last call of the function whose signature is meant; in the first failing test, if it has one."""
    statement = history.statements(asked.path).at(asked.line)
    if statement is None or not isinstance(statement.node, FUNCTIONS):
        return None
    first = min([statement.line, *(d.lineno for d in statement.node.decorator_list)])
    frames = [
        frame
        for frame in history.trace.frames.values()
        if frame.code.path == asked.path
        and first <= frame.code.first_line <= statement.line
        and names & frame.arguments.keys()
    ]
    failing = {failure.item for failure in history.trace.failures[:1]}
    own = [frame for frame in frames if frame.item in failing]
    return max(own or frames, key=lambda frame: frame.id, default=None)


def _chain(history: History, asked: _Asked, value: str | None, steps: Iterable[Step]) -> Chain:
    links = dict(_links(history, asked.path, steps))
    kept, folded = fold(link.fact for link in links.values())
    order = ranked(kept)
    chosen = sorted(order[:MOST], key=lambda fact: -fact.order)
    return Chain(
        expression=asked.expression,
        path=asked.path,
        line=asked.line,
        value=value,
        links=tuple(links[fact.order] for fact in chosen),
        left_out=len(folded) + len(order) - len(chosen),
        limits=tuple(_limits(history.trace, (link.fact.path for link in links.values()))),
    )


def _links(history: History, main: Path, steps: Iterable[Step]) -> Iterator[tuple[int, Link]]:
    for step in steps:
        statement = history.statement(step.hit)
        if statement is not None and isinstance(statement.node, _DULL):
            continue
        path = history.path(step.hit)
        prefix = "" if path == main else f"{path.stem}:"
        fact = fact_of(history, step.hit, prefix, step.distance, step.uncertain)
        yield step.hit.order, Link(fact, _because(history, step))


def _because(history: History, step: Step) -> str:
    name = f"`{step.name.rpartition('.')[2]}`"
    match step.why:
        case "data":
            return f"gave {name} its value"
        case "argument":
            return f"passed {name}"
        case "return":
            own = history.trace.frames[step.hit.frame].code.name == step.name
            return f"came out of {name}" if own else f"changed {name}"
        case "control":
            return "let it run"
        case "omission":
            return (
                f"could have changed {name}, but did not" if step.name else "could have ended it, but did not"
            )
    return "made it"


def _limits(trace: Trace, paths: Iterable[Path]) -> Iterator[str]:
    there = set(paths)
    for cap in [cap for cap in trace.caps if cap.path in there][:3]:
        yield f"line {cap.line}: {cap.words}"
    yield from trace.limits
