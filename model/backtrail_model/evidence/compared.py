"""What a failed check compared, expected and got, as a person would write it."""

from __future__ import annotations

import ast

from backtrail_tracer.trace import Failure, Value

DOCTEST = "DocTestFailure"


def expected(failure: Failure) -> str | None:
    return _shown(failure, failure.expected)


def actual(failure: Failure) -> str | None:
    return _shown(failure, failure.actual)


def check(failure: Failure) -> str:
    """What a check asked for and what its parts were; empty where expected and actual say it."""
    return failure.check.words if failure.check is not None and failure.compared is None else ""


def _shown(failure: Failure, value: Value | None) -> str | None:
    """A doctest compares what is printed; that is shown as it is, and not as a string."""
    if value is None:
        return None
    if failure.type == DOCTEST and value.type == "str" and not value.cut:
        try:
            return str(ast.literal_eval(value.text)).strip()
        except (ValueError, SyntaxError):
            return value.text
    return value.text
