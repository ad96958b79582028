"""Data files of the three shapes become items, and nothing of a hidden test is on the solver's side."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from attrs import asdict

from backtrail_model.study import readers
from backtrail_model.study.readers import DataError
from backtrail_model.study.visible import test_file as as_test_file
from backtrail_model.study.visible import visible_tests
from tests.study import data


@pytest.mark.parametrize("rows", [data.ROWS, data.MBPP], ids=["HumanEvalPack", "MBPP seeds"])
def test_what_a_solver_sees_holds_nothing_of_the_hidden_tests(tmp_path: Path, rows: object) -> None:
    for item in readers.read(data.write(tmp_path, rows)):  # type: ignore[arg-type]
        assert data.CANARY in item.secret.hidden
        assert data.CANARY not in repr(asdict(item.task))
        assert item.task.tests


def test_the_program_is_the_wrong_one_and_the_reference_the_right_one(tmp_path: Path) -> None:
    human = readers.read(data.write(tmp_path, data.ROWS))[0]
    assert human.task.source == data.program(data.ROWS[0], "buggy_solution")
    assert human.secret.reference == data.program(data.ROWS[0])
    mbpp = readers.read(data.write(tmp_path, data.MBPP))[0]
    assert mbpp.id == "Made/9@somebody"
    assert mbpp.task.tests == ("assert area(3, 4) == 12",)


def test_seeds_as_they_were_published_are_read_too(tmp_path: Path) -> None:
    row = {**data.MBPP[0], "solution": data.MBPP[0]["buggy"]}
    del row["buggy"]
    assert readers.read(data.write(tmp_path, [row]))[0].task.source == data.MBPP[0]["buggy"]


def test_cruxeval_asks_for_the_output_of_a_call_and_keeps_it_from_the_solver(tmp_path: Path) -> None:
    item = readers.read(data.write(tmp_path, data.CRUX))[0]
    assert (item.task.kind, item.task.call) == ("output", "f('abc', 2)")
    assert item.secret.hidden == "'aabbcc'"
    assert "aabbcc" not in repr(asdict(item.task))


def test_items_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    ids = [item.id for item in readers.read(data.write(tmp_path, [data.ROWS[0]] * 3))]
    assert ids == ["Made/1", "Made/1#2", "Made/1#3"]


def test_a_line_that_is_no_item_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text('{"question": "why"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"odd\.jsonl, line 1 has none of the known shapes"):
        readers.read(path)
    path.write_text("{}\n{broken\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 1"):
        readers.read(path)


def test_a_sample_depends_on_the_seed_only(tmp_path: Path) -> None:
    items = readers.read(data.write(tmp_path, [data.ROWS[0]] * 30))
    one, same = (readers.choose(items, "repair", sample=8, seed=3) for _ in range(2))
    other = readers.choose(items, "repair", sample=8, seed=4)
    assert one == same != other
    assert readers.choose(items, "repair", sample=8, seed=3, limit=2) == one[:2]
    assert readers.choose(items, "output") == ()


@pytest.mark.parametrize(
    ("text", "bodies"),
    [
        ("def check(f):\n    assert f(1) == 2\n    assert f(2) == 3\ncheck(f)", 2),
        ("assert f(1) == 2", 1),
        ("def check(f):\n    # some cases\n    print\n    assert f(1) == 2\ncheck(f)", 1),
        ("def check(f):\n    for i in range(3):\n        assert f(i) == i + 1\ncheck(f)", 1),
        ("def check(candidate):\n    assert candidate(1) == 2\ncheck(f)", 1),
        ("    left = over\n    return left\ndef check(f):\n    assert f(1) == 2\ncheck(f)", 1),
        ("", 0),
    ],
    ids=["each assertion", "bare", "noise", "a loop stays whole", "another name", "rubbish before", "none"],
)
def test_visible_tests_run_as_the_data_meant_them(text: str, bodies: int) -> None:
    found = visible_tests(text, "f")
    assert len(found) == bodies
    for function, passes in (("lambda x: x + 1", True), ("lambda x: x", False)):
        scope: dict[str, object] = {"f": eval(function)}
        source = as_test_file("m", found).replace("from m import *", "")
        exec(compile(ast.parse(source), "tests", "exec"), scope)
        ran = [_passes(scope[f"test_{number}"]) for number in range(bodies)]
        assert all(ran) is (passes or not bodies)


def _passes(test: object) -> bool:
    try:
        test()  # type: ignore[operator]
    except AssertionError:
        return False
    return True
