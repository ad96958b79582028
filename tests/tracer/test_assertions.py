"""What a failed check is said to have compared, in pytest, in unittest and in a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from backtrail_tracer.trace import Trace
from tests.model import real

SHOP = """
def is_even(n):
    return n % 2 == 1

def stock_of(name):
    return {"tea": 0}[name]

def parse(text):
    return len(text)
"""
# Each check, and what is said of it; an empty text where expected and actual say it.
CHECKS = {
    "assert stock > 0": "`stock > 0` is false: `stock` was 0",
    "assert stock_of('tea') >= 1": "`stock_of('tea') >= 1` is false: `stock_of('tea')` was 0",
    "assert stock != 0": "`stock != 0` is false: `stock` was 0",
    "assert 0 < stock < 5": "`0 < stock < 5` is false: `stock` was 0",
    "assert 'tea' in names": "`'tea' in names` is false: `names` was ['milk']",
    "assert 'milk' not in names": "`'milk' not in names` is false: `names` was ['milk']",
    "assert nothing is not None": "`nothing is not None` is false: `nothing` was None",
    "assert names is ['milk']": "`names is ['milk']` is false: `names` was ['milk']",
    "assert is_even(4)": "`is_even(4)` was False",
    "assert not names": "`not names` is false: `names` was ['milk']",
    "assert stock": "`stock` was 0, which counts as false",
    "assert names and stock > 0": "`names and stock > 0` is false: `names` was ['milk'], `stock` was 0",
}
IN_PYTEST = {
    "with pytest.raises(ValueError):\n        parse('')": "`parse('')` did not raise ValueError",
    "pytest.raises(ValueError, parse, 'x')": "`parse('x')` did not raise ValueError",
    "assert stock == pytest.approx(0.25)": "",
    "assert stock == 1": "",
    "assert names is None": "",
}
IN_UNITTEST = {
    "self.assertEqual(stock, 1)": "",
    "self.assertIn('tea', names)": "`'tea' in names` is false: `names` was ['milk']",
    "self.assertGreater(stock, 0)": "`stock > 0` is false: `stock` was 0",
    "self.assertTrue(is_even(4))": "`is_even(4)` was False",
    "self.assertFalse(names)": "`not names` is false: `names` was ['milk']",
    "self.assertIsNotNone(nothing)": "`nothing is not None` is false: `nothing` was None",
    "self.assertRegex(text, 'x+')": "`self.assertRegex(text, 'x+')` failed: `text` was 'abc'",
    "self.assertRaises(ValueError, parse, 'x')": "`parse('x')` did not raise ValueError",
}
GIVEN = "stock, names, nothing, text = stock_of('tea'), ['milk'], None, 'abc'"


def said(trace: Trace) -> list[str]:
    """Of each failure in order: what is said, or an empty text where expected and actual are shown."""
    return [
        "" if failure.compared else failure.check.words if failure.check else failure.message
        for failure in trace.failures
    ]


async def test_checks_of_pytest(tmp_path: Path) -> None:
    checks = {**CHECKS, **IN_PYTEST}
    tests = [f"def test_{n}():\n    {GIVEN}\n    {text}\n" for n, text in enumerate(checks)]
    files = {"shop.py": SHOP, "test_shop.py": "import pytest\nfrom shop import *\n\n" + "\n".join(tests)}
    project = await real.run(tmp_path, files, "test_shop.py")
    assert dict(zip(checks, said(project.trace), strict=True)) == checks
    by_check = dict(zip(checks, project.trace.failures, strict=True))
    approx = by_check["assert stock == pytest.approx(0.25)"]
    assert approx.expected is not None and approx.expected.text == "pytest.approx(0.25)"
    equal = by_check["assert stock == 1"]
    assert equal.expected is not None and equal.actual is not None
    assert (equal.expected.text, equal.actual.text) == ("1", "0")
    assert by_check["assert stock > 0"].expected is None, "0 was not expected"


async def test_checks_of_a_test_case(tmp_path: Path) -> None:
    tests = [
        f"    def test_{n:02}(self):\n        {GIVEN}\n        {text}\n" for n, text in enumerate(IN_UNITTEST)
    ]
    head = "import unittest\nfrom shop import *\n\nclass ShopTest(unittest.TestCase):\n"
    project = await real.run(
        tmp_path, {"shop.py": SHOP, "test_shop.py": head + "\n".join(tests)}, "test_shop.py"
    )
    assert dict(zip(IN_UNITTEST, said(project.trace), strict=True)) == IN_UNITTEST


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("assert stock_of('tea') > 0", "`stock_of('tea') > 0` is false: `stock_of('tea')` was 0"),
        ("assert len(names) > 3", "`len(names) > 3` is false: `len(names)` was 1"),
        ("assert parse('abc') == 2", ""),
    ],
)
async def test_a_script_without_a_test_runner_tells_as_much(tmp_path: Path, check: str, words: str) -> None:
    main = f"{SHOP}\nif __name__ == '__main__':\n    names = ['milk']\n    {check}\n"
    project = await real.run(tmp_path, {"go.py": main}, "go.py")
    assert said(project.trace) == [words]
    if not words:
        (failure,) = project.trace.failures
        assert (
            failure.expected and failure.actual and (failure.expected.text, failure.actual.text) == ("2", "3")
        )


async def test_what_an_earlier_comparison_had_is_not_taken_for_this_one(tmp_path: Path) -> None:
    test = """
import pytest

def test_it():
    with pytest.raises(AssertionError):
        assert 1 == 2
    left = 5
    assert left == 7 or left == 9
"""
    project = await real.run(tmp_path, {"test_it.py": test}, "test_it.py")
    assert said(project.trace) == ["`left == 7 or left == 9` is false: `left` was 5"]


async def test_a_secret_in_the_source_of_a_check_is_covered(tmp_path: Path) -> None:
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    test = f"def test_it():\n    mine = 'x'\n    assert mine in ['{secret}']\n"
    project = await real.run(tmp_path, {"test_it.py": test}, "test_it.py")
    (told,) = said(project.trace)
    assert "`mine` was 'x'" in told and secret not in told
