"""Candidates: what is the same, what is refused; and the edits of a fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrail_model.repair import answers
from backtrail_model.repair.candidates import Candidate, Original, Rejected, candidate, whole
from backtrail_model.repair.fixes import line_edits, size_of
from backtrail_model.repair.flags import ASSERTION, SPECIAL_CASE, SWALLOWS, WEAKENED, flags, orphans
from backtrail_model.testcode import TestCode
from tests.model.handmade import text

PATH = Path("/project/shop.py")
SEPARATE = TestCode(frozenset([Path("/project/test_shop.py")]), frozenset())
SHARED = TestCode(frozenset(), frozenset([PATH]))

SHOP = text('''
    import pytest


    @pytest.fixture
    def price():
        return 3


    def double(x):
        """Twice.

        >>> double(2)
        4
        """
        return x * 3  # wrong


    def test_double(price):
        assert double(price) == 6


    if __name__ == "__main__":
        print(double(4))
    ''')


def made(old: str, new: str, tests: TestCode = SEPARATE, source: str = SHOP) -> Candidate | Rejected:
    start = source.index(old)
    original = Original.of(PATH, source, tests)
    return candidate(original, start, start + len(old), new, proposer="p")


@pytest.mark.parametrize(
    ("old", "new", "tests", "reason"),
    [
        ("x * 3", "x * 2", SEPARATE, ""),
        ("x * 3", "x * 2", SHARED, ""),
        ("x * 3", "x * 3", SEPARATE, "no change"),
        ("x * 3", "(x  *  3)", SEPARATE, "no change"),
        ("# wrong", "# right", SEPARATE, "no change"),
        ("x * 3", "x *", SEPARATE, "does not parse"),
        ("x * 3", "x * '\0'", SEPARATE, "does not parse"),
        ("x * 3", "x" + "(" * 500, SEPARATE, "does not parse"),
        ("== 6", "== 9", SHARED, "changes a test"),
        ("== 6", "== 9", SEPARATE, ""),
        ("return 3", "return 2", SHARED, "changes a test"),
        (">>> double(2)", ">>> double(0)", SEPARATE, "changes a test"),
        ("        4\n", "        6\n", SEPARATE, "changes a test"),
        ("double(4)", "double(0)", SEPARATE, "changes a test"),
        ("def test_double", "def best_double", SHARED, "changes a test"),
        ("Twice.", "Two times.", SEPARATE, "changes a test"),
    ],
)
def test_what_is_worth_running(old: str, new: str, tests: TestCode, reason: str) -> None:
    source = SHOP.replace("    4\n", "        4\n") if old.endswith("4\n") else SHOP
    result = made(old, new, tests, source)
    assert (result.reason if isinstance(result, Rejected) else "") == reason


def test_a_test_file_is_protected_as_a_whole() -> None:
    path = Path("/project/test_shop.py")
    original = Original.of(path, "helper = 1\n", SEPARATE)
    assert whole(original, "helper = 2\n", proposer="p") == Rejected("changes a test")


def test_a_candidate_knows_its_edit() -> None:
    result = made("x * 3", "x * 2")
    assert isinstance(result, Candidate)
    assert (result.replaced, result.replacement) == ("x * 3", "x * 2")
    assert result.text == SHOP.replace("x * 3", "x * 2")


@pytest.mark.parametrize(
    ("at", "new", "parses"),
    [
        ("def g", "    return 2\n", True),
        ("def g", "y = 2\n", True),
        ("def g", "  return 2\n", False),
        ("def f", "import os\n", True),
        ("z = 1", '"""', False),
        ("    x = (1", "    x = 1\n", True),
    ],
)
def test_an_edit_is_judged_by_the_statement_that_it_lies_in(at: str, new: str, parses: bool) -> None:
    source = "def f():\n    x = (1)\ndef g():\n    return 1\nz = 1\n"
    original = Original.of(PATH, source, SEPARATE)
    start = source.index(at)
    result = candidate(original, start, start, new, proposer="p")
    assert isinstance(result, Candidate) == parses
    if isinstance(result, Candidate):
        compile(result.text, "x", "exec")


def test_the_same_program_has_the_same_key() -> None:
    one, other = made("x * 3", "x * 2"), made("return x * 3  # wrong", "return (x*2)")
    assert isinstance(one, Candidate)
    assert isinstance(other, Candidate)
    assert one.key == other.key


def test_a_whole_text_is_cut_down_to_its_edit() -> None:
    original = Original.of(PATH, SHOP, SEPARATE)
    result = whole(original, SHOP.replace("x * 3", "x + x"), proposer="p")
    assert isinstance(result, Candidate)
    assert (result.replaced, result.replacement) == ("* 3", "+ x")


lines = st.lists(st.sampled_from(["a", "b", "", "ü", "  c"]), max_size=8)


@given(lines, lines, st.booleans(), st.booleans())
def test_line_edits_turn_one_text_into_the_other(
    old: list[str], new: list[str], end: bool, other: bool
) -> None:
    before, after = "\n".join(old) + "\n" * end, "\n".join(new) + "\n" * other
    result = before.splitlines(keepends=True)
    for edit in sorted(line_edits(before, after), key=lambda edit: -edit.start):
        result[edit.start : edit.end] = [edit.new_text]
    assert "".join(result) == after


def test_size_counts_tokens() -> None:
    assert size_of("a = b + c\n", "a = b - c\n") == 2
    assert size_of("a = b\n", "a = b\n") == 0


TEST = 'def test_f():\n    assert f([1, 7], "seven") == 49\n'
BEFORE = "def f(a, b):\n    assert a\n    return a[0] * 2\n"


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("def f(a, b):\n    assert a\n    return a[-1] ** 2\n", ()),
        ("def f(a, b):\n    assert a\n    return 49\n", (SPECIAL_CASE,)),
        ("def f(a, b):\n    assert a\n    if b == 'seven': return len(b)\n    return 0\n", (SPECIAL_CASE,)),
        ("def f(a, b):\n    assert a\n    if a == [1, 7]: return 7 * a[1]\n    return 1\n", (SPECIAL_CASE,)),
        ("def f(a, b):\n    assert a\n    return 1\n", ()),
        ("def f(a, b):\n    return a[0] * 2\n", (ASSERTION,)),
        ("def f(a, b):\n    assert a or True\n    return a[0] * 2\n", (WEAKENED,)),
        (
            "def f(a, b):\n    assert a\n    try: return a[1]\n    except Exception: pass\n",
            (SWALLOWS,),
        ),
        (
            "def f(a, b):\n    try:\n        return a[1]\n    except:\n        return 49\n",
            (SPECIAL_CASE, SWALLOWS, ASSERTION),
        ),
        (
            "def f(a, b):\n    assert a\n    try: return a[1]\n    except E as e: raise V(a) from e\n",
            (),
        ),
    ],
)
def test_fishy_fixes_are_labelled(after: str, expected: tuple[str, ...]) -> None:
    assert flags(BEFORE, after, TEST) == expected


def test_an_edit_that_ignores_what_was_computed_is_told_from_one_that_does_not() -> None:
    before = "def f(a, b):\n    c = a + b\n    return c * a\n"
    assert orphans(before, before.replace("c * a", "c + a")) == 0
    assert orphans(before, before.replace("c * a", "a * a")) == 1
    assert orphans(before, before.replace("a + b", "a")) == 1


FUNCTION = text('''
    import math


    def area(r):
        """The area."""
        if r < 0:
            return None
        return math.pi * r


    def other():
        return 1
    ''')
RIGHT = FUNCTION.replace("math.pi * r", "math.pi * r * r")


@pytest.mark.parametrize(
    "answer",
    [
        "<<<<<<< SEARCH\n    return math.pi * r\n=======\n    return math.pi * r * r\n>>>>>>> REPLACE",
        "So:\n```\n<<<<<<< SEARCH\nreturn math.pi * r\n=======\nreturn math.pi * r * r\n>>>>>>> REPLACE\n```",
        "```\n>>> search\nreturn math.pi * r\n>>> replace\nreturn math.pi * r * r\n```",
        "<<<<<<< SEARCH\nreturn math.pi * r\n=======\nreturn math.pi * r * r",
        "```python\ndef area(r):\n    if r < 0:\n        return None\n    return math.pi * r * r\n```",
        '```python\ndef area(r):\n  """Mine."""\n  if r < 0:\n    return None\n  return math.pi * r * r\n```',
        "def area(r):\n    if r < 0:\n        return None\n    return math.pi * r * r\n",
        "```\nimport math\ndef area(r):\n    if r < 0:\n        return None\n    return math.pi * r * r",
    ],
)
def test_answers_in_several_forms(answer: str) -> None:
    (found,) = answers.texts(Original.of(PATH, FUNCTION, SEPARATE), answer)
    result = whole(Original.of(PATH, FUNCTION, SEPARATE), found, proposer="p")
    assert isinstance(result, Candidate)
    wanted = whole(Original.of(PATH, FUNCTION, SEPARATE), RIGHT, proposer="p")
    assert isinstance(wanted, Candidate)
    assert result.key == wanted.key


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I cannot help with that.",
        "<<<<<<< SEARCH\nreturn 5\n=======\nreturn 6\n>>>>>>> REPLACE",
        "<<<<<<< SEARCH\n=======\nreturn 6\n>>>>>>> REPLACE",
        "```python\ndef unknown(x):\n    return 1\n```",
        "```python\ndef area(r:\n```",
    ],
)
def test_answers_that_mean_nothing(answer: str) -> None:
    assert list(answers.texts(Original.of(PATH, FUNCTION, SEPARATE), answer)) == []


@given(st.text(max_size=200))
def test_no_answer_breaks_the_parser(answer: str) -> None:
    original = Original.of(PATH, FUNCTION, SEPARATE)
    for found in answers.texts(original, answer):
        whole(original, found, proposer="p")
