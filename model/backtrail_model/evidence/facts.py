"""Facts: one recorded hit each, in words, with an id that a person or a model can cite."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import field, frozen

from backtrail_tracer.slicing import History, is_loop
from backtrail_tracer.statements import Statement
from backtrail_tracer.trace import Frame, Hit, Value

# Values of these types say nothing that the source does not say.
DULL_TYPES = frozenset(
    ["function", "module", "type", "builtin_function_or_method", "method", "ABCMeta", "EnumType", "EnumMeta"]
)
MOST_NAMES = 5


@frozen
class Fact:
    """What one hit read and did. `values` maps each name to what was recorded of it here, in order."""

    id: str  # "L7#2": line 7, second hit; "other:L7#2" in a file that is not the main one
    path: Path
    line: int
    function: str
    order: int
    distance: float  # from the failure, see slicing
    source: str  # the statement's first line
    reads: Mapping[str, str]
    effect: str  # "total = 3", "taken", "returns 3", "raises TypeError: …"
    values: Mapping[str, tuple[str, ...]] = field(repr=False)
    uncertain: bool = False

    def __str__(self) -> str:
        reads = ", ".join(f"{name} = {text}" for name, text in self.reads.items())
        parts = [
            self.source,
            *([f"with {reads}"] if reads else []),
            *([f"→ {self.effect}"] if self.effect not in ("", self.source) else []),
        ]
        return f"{self.id}: {'  '.join(parts)}{'  (uncertain)' if self.uncertain else ''}"


def fact_of(history: History, hit: Hit, prefix: str, distance: float, uncertain: bool) -> Fact:
    """The fact of a hit. `prefix` goes before the id when the file is not the main one."""
    frame = history.trace.frames[hit.frame]
    statement = history.statement(hit)
    reads = dict(_reads(history, hit, statement))
    values = {name: (value.text,) for name, value in reads.items()}
    for name, value in hit.changed.items():
        values[name] = (*values.get(name, ()), value.text)
    if hit is _last(history, frame) and frame.result is not None:
        values["return"] = (frame.result.text,)
    return Fact(
        id=f"{prefix}L{hit.line}#{hit.number}",
        path=frame.code.path,
        line=hit.line,
        function=frame.code.name.rpartition(".")[2],
        order=hit.order,
        distance=distance,
        source=source_line(statement),
        reads={name: value.text for name, value in reads.items()},
        effect=effect_of(history, hit, statement),
        values=values,
        uncertain=uncertain or hit.uncertain,
    )


def source_line(statement: Statement | None) -> str:
    """A statement on one line: the header of a compound one, the whole of a simple one, cut if long."""
    if statement is None:
        return ""
    text = ast.unparse(statement.node).splitlines()
    line = (
        next((one for one in text if not one.startswith("@")), "") if statement.is_header else " ".join(text)
    )
    return line if len(line) <= 90 else line[:89] + "…"


def _reads(history: History, hit: Hit, statement: Statement | None) -> Iterator[tuple[str, Value]]:
    names = sorted(statement.reads, key=str) if statement is not None else []
    found = ((name, history.value(hit.frame, name, hit.order)) for name in names)
    known = [(name, value) for name, value in found if value is not None and value.type not in DULL_TYPES]
    yield from known[:MOST_NAMES]


def effect_of(history: History, hit: Hit, statement: Statement | None) -> str:
    """What the hit did, in a few words; empty when there is nothing to say."""
    frame = history.trace.frames[hit.frame]
    if hit.raised is not None:
        return f"raises {hit.raised}"
    if statement is not None and isinstance(statement.node, ast.Return) and frame.result is not None:
        return f"returns {frame.result}"
    changes = [f"{name} = {value}" for name, value in hit.changed.items() if value.type not in DULL_TYPES]
    taken = branch_taken(history, hit, statement)
    if taken is not None and statement is not None:
        words = ("goes on", "ends") if is_loop(statement) else ("taken", "not taken")
        changes.append(words[0] if taken else words[1])
    if (
        not changes
        and hit is _last(history, frame)
        and frame.left_by == "return"
        and frame.result is not None
    ):
        return f"the function ends and returns {frame.result}"
    return ", ".join(changes[:MOST_NAMES])


def branch_taken(history: History, hit: Hit, statement: Statement | None) -> bool | None:
    """Whether a header's body ran next; None for other statements, or when it is not known."""
    if statement is None or not isinstance(statement.node, ast.If | ast.While | ast.For | ast.AsyncFor):
        return None
    after = history.following(hit)
    if after is None and history.trace.frames[hit.frame].left_by == "open":
        return None
    body = statement.node.body
    return after is not None and body[0].lineno <= after.line <= (body[-1].end_lineno or body[-1].lineno)


def _last(history: History, frame: Frame) -> Hit | None:
    hits = history.hits(frame.id)
    return hits[-1] if hits else None
