"""What a place in a text means; the place is marked by ^ before the character pointed at."""

from __future__ import annotations

import pytest

from backtrail_server.expressions import expression_at, function_lines


def check(marked: str, expected: str | None) -> None:
    index = marked.index("^")
    text = marked.replace("^", "")
    before = text[:index]
    found = expression_at(text, before.count("\n") + 1, len(before.rsplit("\n", 1)[-1]))
    assert (found[0] if found else None) == expected
    if found is not None:
        row = text.split("\n")[before.count("\n")]
        assert row[found[1] : found[2]].replace(" ", "") == expected.replace(" ", "")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("to^tal = 1", "total"),
        ("x = a + ^b", "b"),
        ("x = a ^+ b", None),
        ("s^elf.items.first", "self"),
        ("self.it^ems.first", "self.items"),
        ("self.items.fir^st", "self.items.first"),
        ("row[ind^ex]", "index"),
        ("row[index^]", "index"),
        ("row[index]^", "row[index]"),
        ("r^ow[index]", "row"),
        ("x = '😀' + na^me", "name"),
        ("def f(valu^es):\n    pass", "values"),
        ("def f(*re^st, key=1): pass", "rest"),
        ("@de^co\ndef f(): pass", "deco"),
        ("for it^em in items:\n    pass", "item"),
        ("with a as ^b:\n    pass", "b"),
        ("[x for ^x in y]", "x"),
        ("f(key=va^lue)", "value"),
        ("f'{na^me}'", "name"),
        ("'te^xt'", None),
        ("# comm^ent", None),
        ("d[\n  ^k]", "k"),
        ("d[\n  k]^", None),
        ("lambda v: ^v", "v"),
    ],
)
def test_the_expression_under_the_cursor(marked: str, expected: str | None) -> None:
    check(marked, expected)


def test_a_text_that_does_not_parse_has_no_expressions() -> None:
    assert expression_at("x = (", 1, 0) is None
    assert expression_at("x = 1", 7, 0) is None


def test_the_lines_of_the_innermost_function() -> None:
    text = "def f():\n    x = 1\n    def g():\n        y = 2\n    return x\n\nz = 3\n"
    assert [function_lines(text, line) for line in (2, 4, 5, 7)] == [(1, 5), (3, 4), (1, 5), (1, 8)]
