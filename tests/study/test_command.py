"""`backtrail study` as a person uses it: the real command, stopped and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.scripted_host import ScriptedHost
from tests.study import data

KNOWN = {row["entry_point"]: data.program(row) for row in data.ROWS}


def backtrail(host: ScriptedHost, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "backtrail_server", *arguments],
        env={**os.environ, "BACKTRAIL_TOKEN": host.token, "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def study(host: ScriptedHost, folder: Path, *more: str) -> subprocess.Popen[str]:
    items = data.write(folder, data.ROWS)
    out = str(folder / "out")
    return backtrail(host, "study", str(items), "--models", f"made@{host.url}", "--out", out, *more)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no Ctrl-C for one process on Windows")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "terminate"])
def test_a_stopped_study_keeps_what_it_has_and_can_be_gone_on_with(
    tmp_path: Path, end: signal.Signals
) -> None:
    slow = 0.0

    def reply(messages: object) -> str:
        time.sleep(slow)
        return data.answer(next(text for name, text in KNOWN.items() if f"def {name}(" in str(messages)))

    with ScriptedHost(reply=reply) as host:
        process = study(host, tmp_path, "--controls", "")
        _wait_for_cells(process, tmp_path / "out" / "samples.jsonl", 2)
        slow = 600.0
        process.send_signal(end)
        _, said = process.communicate(timeout=250)
        assert process.returncode == 130, said
        assert "--resume" in said
        report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
        assert "made · none · greedy" in report
        slow, kept = 0.0, len(host.requests)
        refused = study(host, tmp_path, "--controls", "")
        assert refused.wait(100) == 2  # not by accident on top of what is there
        done = study(host, tmp_path, "--controls", "", "--resume")
        told, said = done.communicate(timeout=250)
        assert done.returncode == 0, said
    assert "| made · slice · greedy | 3/3 |" in told
    assert len(host.requests) - kept <= 8


def _wait_for_cells(process: subprocess.Popen[str], path: Path, count: int) -> None:
    while process.poll() is None:
        if path.exists() and path.read_text(encoding="utf-8").count('"kind": "cell"') >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"the study ended early: {process.communicate()}")


def test_the_report_has_rates_paired_differences_and_pictures(tmp_path: Path) -> None:
    """The scripted model is right only when it is shown the failing call."""

    def reply(messages: object) -> str:
        right = "What happened" in str(messages)
        program = next(text for name, text in KNOWN.items() if f"def {name}(" in str(messages))
        return data.answer(program) if right else "I cannot say."

    with ScriptedHost(reply=reply) as host:
        process = study(host, tmp_path, "--representations", "none,fact", "--scaling", "greedy,refine-1")
        told, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert "| made · none · greedy | 0/3 | 0.0 % (0.0 % to 56.1 %) |" in told
    out = tmp_path / "out"
    report = (out / "report.md").read_text(encoding="utf-8")
    assert "| fact – none (made, greedy) | 3 | 3 | 0 | +100.0 (+20.6 to +100.0) | 0.250 |" in report
    assert "none again – none" in report
    for name in ("pass_rates", "differences", "cost"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f"({name}.png)" in report
    manifest = json.loads((out / "study.json").read_text(encoding="utf-8"))
    assert manifest["data"][0]["name"] == "items.jsonl"


def test_explanations_are_asked_for_by_name(tmp_path: Path) -> None:
    """The terminal has the shares, the lines named without a model, and how the sentences stand."""
    wrong = {"largest": 5, "vowels": 3}

    def reply(messages: list[dict[str, str]]) -> str:
        asked = messages[-1]["content"]
        line = next(line for name, line in wrong.items() if f"def {name}(" in asked)
        return f"The test expected 99 but got 98.\nwrong: line {line} should be another."

    with ScriptedHost(reply=reply) as host:
        more = ("--task", "explain", "--representations", "none", "--controls", "")
        process = study(host, tmp_path, *more)
        told, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    # The third item is one statement, which anybody would name: it is not asked for.
    assert "| made · none · greedy | 2/2 |" in told
    assert "expected | 22.5 % |" in told  # one of four and one of five statements, at random
    assert "| made · none · greedy | 2/2 | 4 | 0 | 0 | 2 | 2 | 2/2 (34.2 % to 100.0 %) |" in told
    manifest = json.loads((tmp_path / "out" / "study.json").read_text(encoding="utf-8"))
    assert manifest["task"] == "explain"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--scaling", "guess"], "greedy, best-of-N"),
        (["--representations", "vibes"], "no representation 'vibes'"),
        (["--task", "output"], "no item to output"),
        (["--task", "explain", "--scaling", "refine-1"], "an explanation cannot be run"),
        (["--controls", "luck"], "rerun, shuffled"),
    ],
)
def test_wrong_use_says_what_there_is(tmp_path: Path, more: list[str], words: str) -> None:
    with ScriptedHost() as host:
        process = study(host, tmp_path, *more)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert words in " ".join(said.split())
    assert not (tmp_path / "out").exists()
