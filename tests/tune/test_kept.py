"""A person's own fixes are kept as they can be learnt from, without secrets, for this user only."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from backtrail_model.tune.kept import Kept, triple_of
from backtrail_model.tune.triples import Triple, read

BEFORE = '''\
import os

TOKEN = "not shown: it is not in a function that changed"


class Till:
    def total(self, prices):
        """The sum."""
        result = 1
        for price in prices:
            result += price
        return result


def untouched(x):
    return x
'''
AFTER = BEFORE.replace("result = 1", "result = 0")


def test_only_the_functions_that_changed_are_kept() -> None:
    triple = triple_of(BEFORE, AFTER, "expected 3, got 4")
    assert triple is not None
    assert triple.program.startswith("def total(self, prices):") and "result = 1" in triple.program
    assert "result = 0" in triple.fix
    assert "untouched" not in triple.program + triple.fix
    assert triple.facts == "expected 3, got 4"


def test_what_changed_outside_functions_is_kept_whole() -> None:
    triple = triple_of(BEFORE, AFTER.replace("import os", "import sys"), "")
    assert triple is not None
    assert (triple.program, triple.fix) == (BEFORE, AFTER.replace("import os", "import sys"))


def test_what_is_too_long_or_no_program_is_not_kept() -> None:
    long = "def f():\n" + "    x = 1\n" * 200
    assert triple_of(long, long.replace("x = 1", "x = 2"), "") is None
    assert triple_of("def f(:\n", "def f():\n    pass\n", "") is None
    assert triple_of(BEFORE, BEFORE, "") is None


def test_secrets_are_taken_out_of_the_code_and_the_facts() -> None:
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2"
    before = f'def call(n):\n    key = "{secret}"\n    return n - 1\n'
    triple = triple_of(before, before.replace("- 1", "+ 1"), f"key = '{secret}'")
    assert triple is not None
    assert secret not in triple.program + triple.fix + triple.facts
    assert "redacted" in triple.fix


def test_the_file_is_read_back_and_readable_by_this_user_only(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "data")
    triple = Triple("one", "a", "b", "c — ü", "own")
    kept.add(triple)
    kept.add(Triple("two", "a", "b", "c", "own"))
    with kept.path.open("a", encoding="utf-8") as file:
        file.write('{"torn')
    assert [one.id for one in read(kept.path)] == ["one", "two"]
    assert read(kept.path)[0] == triple
    if sys.platform != "win32":
        assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600


def test_nothing_kept_is_nothing_to_learn(tmp_path: Path) -> None:
    assert read(Kept(tmp_path).path) == ()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_what_measures_is_not_learnt_from(share: float) -> None:
    from backtrail_model.tune.examples import split

    triples = [Triple(str(number), "", "", "", "") for number in range(10)]
    learn, held = split(triples, share, seed=1)
    assert not {one.id for one in learn} & {one.id for one in held}
    assert len(learn) + len(held) == 10 and len(held) == round(10 * share)
    assert split(triples, share, seed=1) == (learn, held)
    assert json.dumps([one.id for one in split(triples, share, seed=2)[0]]) != json.dumps(
        [one.id for one in learn]
    )
