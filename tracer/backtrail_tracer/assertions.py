"""What a check that failed asked for, read from its source and from what was recorded.

The probe hands over the two operands of a comparison, where it knows them, and not the operator. Here the
failing statement is looked up: `assert stock > 0` expected no 0. Nothing of the user's is run: operands are
those of the probe, recorded variables, recorded results of calls, or what follows from these.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from attrs import evolve, field, frozen

from backtrail_probe.redact import Redactor
from backtrail_tracer import called
from backtrail_tracer.asserting import Asserted, name_of, read
from backtrail_tracer.called import Results
from backtrail_tracer.literals import Unknown, is_literal, literal_of, value_of
from backtrail_tracer.trace import Check, Failure, FailureFrame, Frame, Hit, Operand, Value

TextOf = Callable[[Path], str | None]

SAME = frozenset({"==", "is"})
"""Operators by which the one side tells what was expected of the other."""
MOST = 4
"""Parts of a check that are told."""


def checked(
    failures: Sequence[Failure], frames: Mapping[int, Frame], hits: Sequence[Hit], text_of: TextOf
) -> tuple[Failure, ...]:
    """The failures with their `check`, and with `expected` and `actual` only where the check tells these.

    `text_of` gives the text of a file as it ran, or None. A failure whose source is not known, or that is
    no check, stays as it is.
    """
    found = [(failure, _asserted(failure, text_of)) for failure in failures]
    wanted = [(failure, asserted) for failure, asserted in found if asserted is not None]
    results = called.results(wanted, frames, hits, text_of)
    return tuple(
        failure if asserted is None else _told(failure, asserted, results.get(id(failure), {}))
        for failure, asserted in found
    )


def _asserted(failure: Failure, text_of: TextOf) -> Asserted | None:
    where = failure.where
    text = text_of(where.path) if where is not None else None
    if where is None or text is None:
        return None
    further = failure.frames[_last_index(failure.frames, where) + 1 :]
    return read(text, where, failure, [frame.name.rpartition(".")[2] for frame in further])


def _last_index(frames: Sequence[FailureFrame], where: FailureFrame) -> int:
    return max(index for index, frame in enumerate(frames) if frame is where)


def _told(failure: Failure, asserted: Asserted, results: Results) -> Failure:
    where = failure.where
    known = _Known(where.locals if where is not None else {}, results, dict(_given(failure, asserted)))
    parts = list(known.parts(asserted.test))[:MOST] if asserted.test is not None else []
    operands = tuple(Operand(hidden(asserted.text(node)), value) for node, value in parts)
    check = Check(hidden(asserted.condition), asserted.operator, operands)
    expected, actual = _expected_and_actual(asserted, known)
    return evolve(failure, check=check, expected=expected, actual=actual)


def _given(failure: Failure, asserted: Asserted) -> Iterator[tuple[ast.expr, Value]]:
    """The operands that the probe handed over, by the node that each belongs to.

    They are of the comparison that failed last in the test, which may be one that the program caught: what
    contradicts a literal or a variable is not taken.
    """
    sides = asserted.sides
    if sides is None or failure.expected is None or failure.actual is None:
        return
    given = (
        (failure.actual, failure.expected)
        if not _literal_first(sides)
        else (failure.expected, failure.actual)
    )
    held = failure.where.locals if failure.where is not None else {}
    if all(_fits(node, value, held) for node, value in zip(sides, given, strict=True)):
        yield from zip(sides, given, strict=True)


def _fits(node: ast.expr, value: Value, held: Mapping[str, Value]) -> bool:
    if is_literal(node):
        try:
            return bool(literal_of(value) == ast.literal_eval(node))
        except Unknown:
            return value.cut or value.redacted
    recorded = held.get(node.id) if isinstance(node, ast.Name) else None
    return recorded is None or recorded.text == value.text or recorded.cut or value.cut


def _expected_and_actual(asserted: Asserted, known: _Known) -> tuple[Value | None, Value | None]:
    """By convention the left side is the actual value, unless only that one is a literal."""
    sides = asserted.sides
    if sides is None or asserted.operator not in SAME:
        return None, None
    if asserted.operator == "is" and not any(map(is_literal, sides)):
        return None, None
    left, right = (_as_written(asserted, side, known.value(side) or _literal(side)) for side in sides)
    if left is None or right is None:
        return None, None
    return (left, right) if _literal_first(sides) else (right, left)


def _as_written(asserted: Asserted, node: ast.expr, value: Value | None) -> Value | None:
    """`pytest.approx(0.3)` says more than the fields of the object it makes."""
    if value is None or not value.type.startswith("Approx") or not isinstance(node, ast.Call):
        return value
    arguments = (*node.args, *(keyword.value for keyword in node.keywords))
    return evolve(value, text=asserted.text(node), cut=False) if all(map(is_literal, arguments)) else value


def _literal_first(sides: tuple[ast.expr, ast.expr]) -> bool:
    return is_literal(sides[0]) and not is_literal(sides[1])


def _literal(node: ast.expr) -> Value | None:
    if not is_literal(node):
        return None
    value = ast.literal_eval(node)
    return Value(type(value).__name__, repr(value))


@lru_cache(maxsize=256)
def hidden(text: str) -> str:
    """Source text without secrets: it is shown, kept and sent where the record is."""
    return Redactor(os.environ).hide(text)[0]


@frozen
class _Known:
    """What is known of the parts of one check."""

    held: Mapping[str, Value]
    results: Results  # of the calls that the statement made
    given: Mapping[ast.expr, Value] = field(factory=dict)

    def value(self, node: ast.expr) -> Value | None:
        """What an expression was; None where that would need running something."""
        if node in self.given:
            return self.given[node]
        match node:
            case ast.Name(name):
                return self.held.get(name)
            case ast.Await(ast.Call() as call):
                return self.results.get((name_of(call), True))
            case ast.Call(ast.Name("len"), [ast.Name(name)], []):
                return self._length(self.held.get(name))
            case ast.Call():
                return self.results.get((name_of(node), False))
            case ast.Subscript():
                return value_of(node, lambda name: literal_of(self.held.get(name)))
        return None

    def _length(self, value: Value | None) -> Value | None:
        if value is None or value.length is None:
            return None
        return Value("int", str(value.length))

    def parts(self, node: ast.expr) -> Iterator[tuple[ast.expr, Value]]:
        """The largest parts whose value is known, from left to right, each text once."""
        seen: set[str] = set()
        for part, value in self._parts(node):
            text = ast.unparse(part)
            if text not in seen and value.type not in _DULL:
                seen.add(text)
                yield part, value

    def _parts(self, node: ast.AST) -> Iterator[tuple[ast.expr, Value]]:
        value = self.value(node) if isinstance(node, ast.expr) else None
        if value is not None and isinstance(node, ast.expr):
            if not is_literal(node):
                yield node, value
            return
        if isinstance(node, _SCOPES):
            return  # its variables are its own, and gone
        for child in ast.iter_child_nodes(node):
            yield from self._parts(child)


_SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_DULL = frozenset(
    {"function", "module", "type", "builtin_function_or_method", "ABCMeta", "EnumType", "EnumMeta"}
)
