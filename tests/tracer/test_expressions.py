"""What may be evaluated in a stopped program without being asked for."""

from __future__ import annotations

import pytest

from backtrail_tracer.expressions import is_safe_expression

SAFE = """x; self.a.b; xs[0]; xs[-1]; xs[1:2]; d['k'].y; a + b; a < b <= c; not a; a and b; x is None;
    (a, b); 1; 's'; a in b; m[i, j]; xs[i - 1]"""
UNSAFE = """f(); x.f(); xs[f()]; (x := 1); await x; lambda: 1; [x for x in y]; {x for x in y};
    {x: 1 for x in y}; f'{x()}'; f'{x}'; x = 1; import os; 9 ** 9 ** 9; 1 << 99999999; [0] * 10 ** 12;
    x if; del x; yield x; *x;
    __import__('os')"""
NOT_EVEN_EXPRESSIONS = ["", "   ", "x\ny", "a; b", "\0", "(" * 300, "x" * 501]


def split(text: str) -> list[str]:
    return [each.strip() for each in text.split(";")]


@pytest.mark.parametrize("text", split(SAFE))
def test_safe(text: str) -> None:
    assert is_safe_expression(text)


@pytest.mark.parametrize("text", split(UNSAFE) + NOT_EVEN_EXPRESSIONS)
def test_unsafe(text: str) -> None:
    assert not is_safe_expression(text)
