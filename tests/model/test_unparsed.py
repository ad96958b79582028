"""Files that do not parse: mended without a model where that can be, and run before it is offered."""

from __future__ import annotations

import ast
import random
from contextlib import aclosing
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrail_model.client import ModelClient
from backtrail_model.repair import Fix, repair, standard
from backtrail_model.repair.candidates import Original, Rejected, whole
from backtrail_model.repair.mends import mends
from backtrail_model.repair.proposers import Proposer, Restore, Schedule
from backtrail_model.testcode import TestCode
from backtrail_tracer.verify import Verifier
from tests.model import real
from tests.scripted_host import ScriptedHost, knows

TIDES = """
def highest(levels):
    '''The highest level, and when it was.'''
    best = None
    for hour, level in levels.items():
        if best is None or level > best[1]:
            best = (hour, level)
    return best


def span(levels):
    low = min(levels.values())
    return highest(levels)[1] - low
""".lstrip()

TESTS = """
from tides import highest, span

LEVELS = {6: 1.5, 7: 4.0, 8: 2.5}


def test_highest():
    assert highest(LEVELS) == (7, 4.0)


def test_span():
    assert span(LEVELS) == 2.5
"""

BROKEN = {
    "a colon": ("level > best[1]:", "level > best[1]"),
    "a bracket": ("levels.items():", "levels.items(:"),
    "a bracket at the end": ("min(levels.values())", "min(levels.values()"),
    "a wrong bracket": ("best[1]:", "best[1):"),
    "an indent": ("    for hour", "  for hour"),
    "a body": ("            best = (hour, level)\n", "        best = (hour, level)\n"),
    "a head": ("def highest(levels):\n", ""),
    "a fence": ("def highest", "```python\ndef highest"),
    "a comparison": ("best is None or level > best[1]", "best is None or level = best[1]"),
}


async def repaired(folder: Path, source: str, *proposers: Proposer) -> list[Fix]:
    project = await real.run(folder, {"tides.py": source, "test_tides.py": TESTS}, "tides.py")
    context = project.context()
    assert context.broken is not None
    async with Verifier(project.session, project.entry) as verifier:
        search = repair(context, proposers or standard(None), verifier, budget_s=60, settle_s=1)
        async with aclosing(search) as running:
            return [fix async for fix in running]


@pytest.mark.parametrize("lost", ["a colon", "a wrong bracket", "an indent", "a head", "a fence"])
async def test_a_file_that_does_not_parse_is_mended_and_run(lost: str, tmp_path: Path) -> None:
    source = TIDES.replace(*BROKEN[lost], 1)
    assert source != TIDES
    fixes = await repaired(tmp_path, source)
    assert fixes, "nothing was offered"
    assert fixes[-1].verdict.passed_count == 2
    assert ast.dump(ast.parse(fixes[-1].candidate.text)) == ast.dump(ast.parse(TIDES))
    assert fixes[-1].preferred


async def test_the_message_and_the_text_are_those_of_the_broken_file(tmp_path: Path) -> None:
    source = TIDES.replace(*BROKEN["a colon"], 1)
    project = await real.run(tmp_path, {"tides.py": source, "test_tides.py": TESTS}, "tides.py")
    (failure,) = project.trace.failures
    assert failure.message == "expected ':' (tides.py, line 5)"
    assert project.trace.sources[project.folder / "tides.py"] == source


@pytest.mark.parametrize("way", ["the line", "the file"])
async def test_a_model_writes_a_line_or_the_file_anew(way: str, tmp_path: Path) -> None:
    source = TIDES.replace(*BROKEN["a colon"], 1)
    fill, reply = (
        (knows(TIDES), "I cannot.") if way == "the line" else (lambda *_: "?", f"```python\n{TIDES}```")
    )
    with ScriptedHost(fill=fill, reply=lambda _: reply) as host:
        async with ModelClient(host.url, host.token) as client:
            fixes = await repaired(tmp_path, source, Schedule([Restore(client)]))
        if way == "the file":
            question = str(host.asked("/v1/chat/completions")[0]["messages"])
            assert "expected ':'" in question and "span(LEVELS) == 2.5" in question
    assert fixes[-1].candidate.text == TIDES
    assert fixes[-1].proposer == "restore"


@pytest.mark.parametrize("lost", BROKEN)
def test_among_the_first_mends_is_the_right_one(lost: str) -> None:
    source = TIDES.replace(*BROKEN[lost], 1)
    right = TIDES.replace("level > best", "level == best") if lost == "a comparison" else TIDES
    found = [ast.dump(ast.parse(one.text)) for one in islice(mends(source, [TESTS]), 60)]
    assert ast.dump(ast.parse(right)) in found


def test_a_missing_head_has_the_parameters_in_the_order_of_the_call() -> None:
    body = "\n    while small:\n        large, small = small, large % small\n    return large\n"
    rest = "\n\ndef coprime(one, other):\n    return gcd(one, other) == 1\n"
    first, second = islice(mends(body + rest), 2)
    assert {first.text.splitlines()[0], second.text.splitlines()[0]} == {
        "def gcd(small, large):",
        "def gcd(large, small):",
    }


def test_checks_of_a_script_that_does_not_parse_are_kept() -> None:
    tests = TestCode(frozenset(), frozenset())
    text = "def twice(x)\n    return x + x\n\nassert twice(2) == 4\n"
    broken = Original.broken(Path("twice.py"), text, tests)
    assert whole(broken, "def twice(x):\n    return x + x\n", proposer="p") == Rejected("changes a test")
    assert not isinstance(whole(broken, text.replace("(x)\n", "(x):\n", 1), proposer="p"), Rejected)


def test_a_text_that_parses_needs_no_mend() -> None:
    assert list(mends(TIDES)) == []


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_is_offered_compiles(seed: int) -> None:
    """A few characters are taken out or doubled anywhere."""
    chance = random.Random(seed)
    text = TIDES
    for _ in range(chance.randint(1, 2)):
        at = chance.randrange(len(text))
        text = text[:at] + chance.choice(["", text[at] * 2]) + text[at + 1 :]
    for mend in islice(mends(text, [TESTS]), 3):
        compile(mend.text, "mended", "exec")
        assert mend.note and 0 < mend.weight <= 1
