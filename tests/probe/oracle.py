"""What stepping with a debugger and what a recorder's log have in common, in one form.

A step is ("line", function, line, changed variables), ("return", function, value) or ("raise", function,
line, exception). Everything in which a debugger differs *by its nature* is evened out here and nowhere
else, and each such difference is one function or one sentence:

* Where a frame stays on its line (the turns of a one-line loop, coming back from a call), there is one
  step, and what changed is told with the next line.
* After its last line a frame is gone before a debugger can look at it: what that line changed is not
  compared.
* Up to Python 3.11 a comprehension has a frame of its own, which the recorders count as its function's.
* The yields, resumptions and the return of a generator or coroutine are stops in some versions and none
  in others: what they hand over is seen in the variables it goes to.
* debugpy on sys.settrace shows a frame that an exception leaves as one that returned None, and nowhere
  tells of the exceptions that end generators.
* A new list that looks like the one before is news to the recorders, which tell objects apart.
* Values are compared if they are literals or exceptions; debugpy shows the others by address, and cuts
  what is nested deeply. Variables of enclosing functions are no news when a function is entered.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.probe.stepping import Place, Stop

Step = tuple[Any, ...]
Values = dict[str, str]

_FOLDED = ("<listcomp>", "<setcomp>", "<dictcomp>")
_EXCEPTION = re.compile(r"[A-Z]\w*(Error|Exception|Exit|Iteration|Interrupt)\(.*\)")
_ENDS = ("GeneratorExit", "StopIteration", "StopAsyncIteration")
_OF_A_FRAME = ("line", "yield", "return", "raise")
OPAQUE = "?"


@dataclass(frozen=True)
class Source:
    """What has to be known of a program's text: which functions suspend, each one's arguments, and the
    (function, line) pairs at which functions begin."""

    suspending: frozenset[str]
    arguments: dict[str, set[str]]
    beginnings: frozenset[tuple[str, int]]
    looping: frozenset[str]  # functions that begin with a loop

    @staticmethod
    def read(text: str) -> Source:
        suspending: set[str] = {"<genexpr>"}
        arguments: dict[str, set[str]] = {}
        beginnings: set[tuple[str, int]] = set()
        looping: set[str] = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                name = getattr(node, "name", "<lambda>")
                arguments.setdefault(name, set()).update(arg.arg for arg in _arguments(node.args))
                own = isinstance(node, ast.AsyncFunctionDef) or any(map(_suspends, _inside(node)))
                suspending |= {name} if own else set()
                first = node.body if isinstance(node, ast.Lambda) else node.body[0]
                beginnings.add((name, first.lineno))
                looping |= {name} if isinstance(first, ast.For | ast.AsyncFor | ast.While) else set()
        return Source(frozenset(suspending), arguments, frozenset(beginnings), frozenset(looping))


def _arguments(args: ast.arguments) -> Iterator[ast.arg]:
    yield from (*args.posonlyargs, *args.args, *args.kwonlyargs)
    yield from (arg for arg in (args.vararg, args.kwarg) if arg)


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield child
            yield from _inside(child)


def _suspends(node: ast.AST) -> bool:
    return isinstance(node, ast.Yield | ast.YieldFrom | ast.Await)


def literal(text: str) -> str:
    """The value in one spelling; OPAQUE if it is none that both sides spell alike."""
    if "..." in text or "…" in text:
        return OPAQUE
    try:
        return _ordered(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text if _EXCEPTION.fullmatch(text) or text in ("set()", "nan", "inf") else OPAQUE


def _ordered(value: Any) -> str:
    return repr(sorted(value, key=repr) if isinstance(value, set) else value)


@dataclass
class _Frame:
    """A frame under way: on which line it is, its variables when that line began."""

    line: int = -1
    seen: Values = field(default_factory=dict)
    raised: bool = False  # an exception was shown in it


# From a debugger's stops.


def of_stops(stops: Iterable[Stop], file: str, source: Source) -> list[Step]:
    reader = _Stops(source)
    kept = [stop for stop in map(_folded, stops) if stop.stack and _innermost(stop, file)]
    for number, stop in enumerate(kept):
        reader.take(stop, kept[number + 1] if number + 1 < len(kept) else None)
    return reader.steps


def _innermost(stop: Stop, file: str) -> bool:
    return any(place.file == file for place in stop.stack)


def _folded(stop: Stop) -> Stop:
    stack = tuple(place for place in stop.stack if place.function not in _FOLDED)
    hidden = bool(stop.stack) and stop.stack[0].function in _FOLDED
    return Stop(stack, {} if hidden else stop.variables, stop.returned, stop.exception, hidden)


class _Stops:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._frames: dict[tuple[int, str], _Frame] = {}
        self._stack: tuple[Place, ...] = ()
        self.steps: list[Step] = []

    def take(self, stop: Stop, following: Stop | None) -> None:
        top, known = stop.top, {(place.id, place.function) for place in stop.stack}
        self._returns(stop, following)
        for key in [key for key in self._frames if key not in known]:
            if key[1] not in self._source.suspending:
                del self._frames[key]
        frame = self._frames.get((top.id, top.function))
        if frame is not None and self._replaced(frame, stop):
            frame = None
        self._stack = stop.stack
        if stop.exception:
            if frame is not None:
                frame.raised = True
            self.steps.append(("raise", top.function, top.line, stop.exception))
        elif not stop.folded and (frame is None or frame.line != top.line):
            self._line(stop, frame)

    def _replaced(self, frame: _Frame, stop: Stop) -> bool:
        """Whether it is a new frame where the one of a generator was that has ended."""
        top = stop.top
        began = (top.function, top.line) in self._source.beginnings
        if not began or any(place.id == top.id for place in self._stack):
            return False
        fewer = not frame.seen.keys() <= stop.variables.keys()
        return top.function not in self._source.looping or frame.line == top.line or fewer

    def _line(self, stop: Stop, frame: _Frame | None) -> None:
        top = stop.top
        held = {name: literal(value) for name, value in stop.variables.items() if name[:1] != "."}
        new = held
        if frame is None:
            frame = self._frames[top.id, top.function] = _Frame()
            own = self._source.arguments.get(top.function, set())
            new = {name: value for name, value in held.items() if name in own}
        changed = {name: value for name, value in new.items() if frame.seen.get(name) != value}
        frame.line, frame.seen = top.line, held
        self.steps.append(("line", top.function, top.line, changed))

    def _returns(self, stop: Stop, following: Stop | None) -> None:
        """The frame that was called by the one now on top, and is gone, returned what is shown there."""
        ids = [place.id for place in self._stack]
        above = ids.index(stop.top.id) - 1 if stop.top.id in ids else -1
        if above < 0 or stop.exception:
            return
        gone = self._stack[above]
        frame = self._frames.get((gone.id, gone.function))
        raised = following is not None and bool(following.exception) and following.top.id == stop.top.id
        if raised and frame is not None and frame.raised:
            return
        named = [value for name, value in stop.returned.items() if name.split(".")[-1] == gone.function]
        if named and gone.function not in self._source.suspending:
            self.steps.append(("return", gone.function, literal(named[-1])))


# From a recorder's log.


def of_records(records: list[list[Any]], file: str, source: Source) -> list[Step]:
    reader = _Records(records, file, source)
    for record in records:
        reader.take(record)
    return reader.steps


class _Records:
    def __init__(self, records: list[list[Any]], file: str, source: Source) -> None:
        files = {each[1] for each in records if each[0] == "file" and each[2].endswith("/" + file)}
        codes = {each[1]: each[3] for each in records if each[0] == "code" and each[2] in files}
        self._codes = {number: name.rpartition(".")[2] for number, name in codes.items()}
        self._suspending = source.suspending
        self._names: dict[int, str] = {}
        self._new: dict[int, Values] = {}
        self._seen: dict[int, Values] = {}
        self.steps: list[Step] = []

    def take(self, record: list[Any]) -> None:
        kind, number, *rest = record
        if kind == "call" and rest[1] in self._codes:
            self._names[number] = self._codes[rest[1]]
            self._new[number], self._seen[number] = {}, {}
            self._keep(number, rest[4])
        elif kind not in _OF_A_FRAME or number not in self._names:
            return
        elif kind == "line":
            self._keep(number, rest[3])
            self.steps.append(("line", self._names[number], rest[0], self._new[number]))
            self._new[number] = {}
        elif kind == "yield":
            self._keep(number, rest[3])
        elif kind == "return":
            self._return(number, rest[2][1])
        elif kind == "raise" and rest[2] not in _ENDS:
            self.steps.append(("raise", self._names[number], rest[0], rest[2]))

    def _keep(self, number: int, values: dict[str, list[Any]]) -> None:
        seen = self._seen[number]
        for name, (_, text, *more) in values.items():
            if not (more and "id" in more[0] and seen.get(name) == text):
                self._new[number][name] = literal(text)
            seen[name] = text

    def _return(self, number: int, value: str) -> None:
        name = self._names[number]
        if name != "<module>" and name not in self._suspending:
            self.steps.append(("return", name, literal(value)))


# Side by side.


def differences(recorded: list[Step], stepped: list[Step]) -> list[str]:
    """Where the two part, in words; what only one side can spell is left out of both."""
    for number, (ours, theirs) in enumerate(zip(recorded, stepped, strict=False)):
        if _comparable(ours, theirs) != _comparable(theirs, ours):
            before = [f"  both:     {step}" for step in stepped[max(0, number - 3) : number]]
            return [*before, f"  recorded: {ours}", f"  stepped:  {theirs}"]
    longer = max(recorded, stepped, key=len)
    if len(recorded) != len(stepped):
        which = "recorded" if longer is recorded else "stepped"
        return [f"  only {which}: {longer[min(len(recorded), len(stepped))]}"]
    return []


def _comparable(step: Step, other: Step) -> Step:
    if step[0] == "line" and other[0] == "line":
        hidden = {name for each in (step[3], other[3]) for name, value in each.items() if value == OPAQUE}
        return (*step[:3], {name: value for name, value in step[3].items() if name not in hidden})
    if step[0] == "return" and OPAQUE in (step[-1], other[-1]):
        return step[:-1]
    return step
