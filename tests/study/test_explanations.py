"""The explain task of the study, from data to report, with a scripted host and real runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from backtrail_model.evidence import REPRESENTATIONS
from backtrail_model.study import explained
from backtrail_model.study.conditions import BadCondition
from backtrail_model.study.faults import NO_REFERENCE, TOO_MANY
from backtrail_model.study.records import Records
from backtrail_model.study.report import write
from backtrail_model.study.solvers.bench import Bench
from backtrail_model.study.solvers.explaining import named
from backtrail_model.study.tasks import Task
from tests.scripted_host import ScriptedHost
from tests.study import data
from tests.study.studies import CONTROLS, MANIFEST, cell, crossed, several, study

Messages = Sequence[Mapping[str, str]]
TASK = {**MANIFEST, "task": "explain"}
REFERENCE_CANARY = "canary_of_the_reference"
LARGEST = {
    **data.ROWS[0],
    "canonical_solution": f"{data.ROWS[0]['canonical_solution']}    # {REFERENCE_CANARY}\n",
}
WRONG_LINE = "5"  # `if number < best:`; its docstring is line 2
GOLDENS = Path(__file__).parent / "goldens"
REWRITE = bool(os.environ.get("BACKTRAIL_REWRITE_GOLDENS"))


def explaining(line: str) -> str:
    return (
        "The test expected 5 but got 1.\n"
        "because number = 5 and best = 1, so it is smaller\n"
        "because best = 77 all the time\n"
        f"wrong: line {line} should keep the larger number.\n"
        "because this comes after the conclusion: best = 78\n"
    )


async def test_a_named_line_is_right_when_the_reference_changes_it(tmp_path: Path) -> None:
    """The scripted model finds the line when it is shown the run."""

    def reply(messages: Messages) -> str:
        return explaining(WRONG_LINE if "What happened" in messages[-1]["content"] else "3")

    with ScriptedHost(reply=reply) as host:
        planned = crossed(("none", "slice"), "greedy", kind="explain")
        records = await study(tmp_path, host, planned, [LARGEST], kind="explain")
    assert not cell(records, "Made/1", "greedy").right
    right = cell(records, "Made/1", "greedy", "slice")
    assert right.right and right.offered and not right.verified
    assert right.samples[0]["program"] == WRONG_LINE


@pytest.mark.parametrize(
    ("conclusion", "line"),
    [
        ("wrong: line 5 should compare the other way, as line 3 does.", "5"),
        ("**Wrong:** Line 5 is the wrong way round.", "5"),
        ("wrong: L5#2 should be the other way.", "5"),
        ("wrong: `if number < best:` should be `if number > best:`", "5"),
        ("wrong: `best` is not what it should be", None),  # stands on several lines
        ("wrong: lists are compared.", None),
    ],
)
def test_which_line_an_answer_names(conclusion: str, line: str | None) -> None:
    task = Task("Made/1", "explain", data.program(LARGEST, "buggy_solution"), "largest")
    bench = Bench(task, facts="", client=None, seed=0, budget_s=0)
    assert named(bench, f"because line 2 says so\n{conclusion}\nwrong: line 1") == line


async def test_sentences_are_held_against_the_whole_record(tmp_path: Path) -> None:
    """Also where the prompt showed nothing of it; what comes after the conclusion is not listened to."""
    with ScriptedHost(reply=lambda _: explaining(WRONG_LINE)) as host:
        planned = crossed(("none", "slice"), "greedy", kind="explain")
        records = await study(tmp_path, host, planned, [LARGEST], kind="explain")
    for shown in ("none", "slice"):
        found = cell(records, "Made/1", "greedy", shown)
        (dropped,) = found.samples[0]["claims"]["dropped"]
        assert dropped.startswith("best was 1") and "77" in dropped
        assert found.claims == {"checked": 2, "guess": 1, "dropped": 1}


async def test_the_majority_names_the_line(tmp_path: Path) -> None:
    answers = [explaining("3"), explaining(WRONG_LINE), explaining(WRONG_LINE)]
    with ScriptedHost(reply=lambda _: "") as host, several(host, answers):
        planned = crossed(("none",), "best-of-3", kind="explain")
        records = await study(tmp_path, host, planned, [LARGEST], kind="explain")
    assert cell(records, "Made/1", "best-of-3").right
    assert cell(records, "Made/1", "best-of-3").claims["dropped"] == 3


async def test_neither_the_hidden_tests_nor_the_reference_reach_a_prompt(tmp_path: Path) -> None:
    with ScriptedHost(reply=lambda _: explaining(WRONG_LINE)) as host:
        every = crossed(tuple(REPRESENTATIONS), "greedy", kind="explain")
        planned = every + crossed(("none", "slice"), "greedy", "best-of-2", kind="explain", controls=CONTROLS)
        await study(tmp_path, host, planned, [LARGEST, data.ROWS[1]], kind="explain")
        sent = json.dumps([request.body for request in host.requests])
    assert len(host.requests) > 16
    assert "largest([1, 5, 2])" in sent and "number < best" in sent  # the visible test, the wrong program
    assert REFERENCE_CANARY not in sent and "number > best" not in sent
    assert data.CANARY not in sent and "-3, -1, -2" not in sent
    kept = (tmp_path / "out" / "samples.jsonl").read_text(encoding="utf-8")
    assert REFERENCE_CANARY not in kept and data.CANARY not in kept


async def test_what_a_model_is_asked(tmp_path: Path) -> None:
    """Golden, one a representation: goldens/explain.NAME.txt, written anew as in tests/model."""
    with ScriptedHost(reply=lambda _: explaining(WRONG_LINE)) as host:
        planned = crossed(tuple(REPRESENTATIONS), "greedy", kind="explain")
        await study(tmp_path, host, planned, [LARGEST], kind="explain")
        asked = host.asked("/v1/chat/completions")
    for condition, body in zip(planned, asked, strict=True):
        said = "\n".join(f"--- {one['role']}\n{one['content']}" for one in body["messages"]) + "\n"
        golden = GOLDENS / f"explain.{condition.representation}.txt"
        if REWRITE:
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(said, encoding="utf-8")
        assert said == golden.read_text(encoding="utf-8"), condition.representation


async def test_items_whose_reference_proves_nothing_are_counted(tmp_path: Path) -> None:
    other = "    ordered = sorted(numbers)\n    ordered.reverse()\n    best = ordered[0]\n    return best\n"
    rows = [
        {**LARGEST, "task_id": "no reference", "canonical_solution": ""},
        {**LARGEST, "task_id": "another program", "canonical_solution": other},
        {**data.MBPP[0], "author": "", "task_id": "one line"},
        LARGEST,
    ]
    with ScriptedHost(reply=lambda _: explaining(WRONG_LINE)) as host:
        planned = crossed(("none",), "greedy", kind="explain")
        records = await study(tmp_path, host, planned, rows, kind="explain")
    assert records.unusable == {
        "no reference": NO_REFERENCE,
        "another program": TOO_MANY,
        "one line": explained.NEARLY_ALL,
    }
    assert [one.item for one in records.cells.values()] == ["Made/1"]


async def test_lines_named_without_a_model_stand_beside_the_models(tmp_path: Path) -> None:
    """largest: `number < best` is one of four statements that ran, and the last that ran is the return.
    pick: the wrong line is the one that raises."""
    pick = (
        'def pick(items):\n    """One."""\n    at = len(items)\n    found = items\n    return found[at - 1]\n'
    )
    raising = data.human_eval(
        7,
        pick,
        ("at - 1", "at"),
        "assert pick([4, 6]) == 6",
        "assert pick('xyz') == 'z'",
    )
    with ScriptedHost(reply=lambda _: explaining(WRONG_LINE)) as host:
        planned = crossed(("none", "slice"), "greedy", kind="explain", controls=CONTROLS)
        records = await study(tmp_path, host, planned, [LARGEST, raising], kind="explain")
    assert records.baselines["Made/1"][explained.LAST] == 0.0
    assert records.baselines["Made/1"][explained.RANDOM] == pytest.approx(1 / 4)
    assert records.baselines["Made/7"][explained.LAST] == 1.0
    assert records.baselines["Made/7"][explained.RANDOM] == pytest.approx(1 / 3)
    again = Records.read(tmp_path / "out")  # all of it is on disk
    assert again.baselines == records.baselines
    report = write(again, TASK).read_text(encoding="utf-8")
    assert f"| {explained.LAST} | 1/2 | 50.0 % (9.5 % to 90.5 %) |" in report
    assert f"| {explained.RANDOM} | 0.6/2 expected | 29.2 % |" in report
    assert "top-1 accuracy" in report and "hidden tests pass" not in report
    assert "| scripted · slice · greedy | 2/2 |" in report  # with its share and Wilson's interval
    assert "| cited | checked | guess | dropped |" in report
    assert "| slice – none (scripted, greedy) | 2 | 0 | 0 |" in report  # paired, with McNemar's p
    assert "slice – the same of another item" in report
    for name in ("pass_rates", "sentences", "differences"):
        assert f"({name}.png)" in report and (tmp_path / "out" / f"{name}.png").stat().st_size > 5_000


def test_what_runs_candidates_cannot_explain() -> None:
    with pytest.raises(BadCondition, match="an explanation cannot be run"):
        crossed(("none",), "search", kind="explain")
