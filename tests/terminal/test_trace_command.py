"""`backtrail trace` as a person and as a program use it: the real command, a real run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "readings"


def backtrail(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backtrail_server", *arguments],
        check=False,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_failing_project_shows_the_line_the_values_and_why_it_ran() -> None:
    done = backtrail("trace", str(EXAMPLE), "--python", sys.executable)
    assert done.returncode == 1
    assert "IndexError: list index out of range" in done.stdout
    assert "hour, _ = readings[warmest + width]" in done.stdout
    assert "warmest = 2" in " ".join(done.stdout.split())
    assert "you named the folder" in done.stdout
    assert "2 passed, 2 failed" in done.stdout


def test_json_is_one_versioned_document() -> None:
    done = backtrail("trace", str(EXAMPLE / "readings.py"), "--python", sys.executable, "--json")
    document = json.loads(done.stdout)
    assert document["version"] == 1
    assert document["status"] == "failed"
    assert [item["outcome"] for item in document["items"]] == ["passed", "passed", "failed", "failed"]
    error, wrong = document["failures"]
    assert error["type"] == "IndexError"
    assert error["frames"][-1]["locals"]["warmest"] == {"type": "int", "text": "2"}
    assert (wrong["expected"]["text"], wrong["actual"]["text"]) == ("'12:00'", "'15:00'")


def test_lines_show_what_every_line_changed(tmp_path: Path) -> None:
    script = tmp_path / "count.py"
    script.write_text(
        "total = 0\nfor step in range(3):\n    total += step\nif __name__ == '__main__':\n    print(total)\n"
    )
    done = backtrail("trace", str(script), "--python", sys.executable, "--lines")
    assert done.returncode == 0, done.stdout + done.stderr
    row = next(line for line in done.stdout.splitlines() if "total += step" in line)
    assert "3×" in row
    assert "total = 3" in row


def test_brackets_in_code_and_values_are_shown_as_they_are(tmp_path: Path) -> None:
    """Not taken for the markup of the terminal, which would hide them, or end in an error."""
    script = tmp_path / "[red].py"
    script.write_text(
        "def ends(words: list[str]) -> str:\n    closing = '[/bold]'\n"
        "    found = [word for word in words]\n    return found[9] + closing\n"
        "if __name__ == '__main__':\n    ends(['[i]'])\n"
    )
    done = backtrail("trace", str(script), "--python", sys.executable, "--lines")
    assert "Traceback" not in done.stderr, done.stderr
    for shown in ("words: list[str]", "[word for word in words]", "closing = '[/bold]'", "[red].py"):
        assert shown in done.stdout, done.stdout
    assert "IndexError" in done.stdout


def test_a_narrow_terminal_breaks_the_value_and_not_its_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    script = tmp_path / "wide.py"
    script.write_text(
        "class Observations(dict): pass\n"
        "def mean(observations):\n    return observations['x' * 40]\n"
        "if __name__ == '__main__':\n    mean(Observations(first='a' * 30, second='b' * 30))\n"
    )
    done = backtrail("trace", str(script), "--python", sys.executable)
    row = next(line for line in done.stdout.splitlines() if "observations =" in line)
    assert row.endswith("Observations"), done.stdout
    assert "b" * 15 in "".join(done.stdout.split()), done.stdout


def test_what_a_script_printed_is_shown_its_last_lines(tmp_path: Path) -> None:
    script = tmp_path / "talk.py"
    script.write_text("if __name__ == '__main__':\n    for n in range(30):\n        print('line', n)\n")
    done = backtrail("trace", str(script), "--python", sys.executable)
    assert "it printed, after 10 more lines:" in done.stdout
    assert "line 29" in done.stdout
    assert "line 9\n" not in done.stdout
    assert "python from --python" in " ".join(done.stdout.split())


def test_what_a_test_case_holds_of_unittest_is_not_shown(tmp_path: Path) -> None:
    test = tmp_path / "test_shop.py"
    body = "class ShopTest(unittest.TestCase):\n    def test_it(self):\n        left = 3\n"
    test.write_text(f"import unittest\n\n\n{body}        self.assertEqual(left, 4)\n")
    done = backtrail("trace", str(test), "--python", sys.executable)
    assert done.returncode == 1
    assert "left = 3" in " ".join(done.stdout.split())
    assert "_testMethodName" not in done.stdout and "self = " not in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("files", "path", "expected"),
    [
        ({}, "missing.py", "does not exist"),
        ({"quiet.py": "def f():\n    return 1\n"}, "quiet.py", "test"),
        ({"empty/readme.txt": "nothing"}, "empty", "holds no test_*.py file"),
    ],
)
def test_nothing_to_run_says_what_to_do(
    tmp_path: Path, files: dict[str, str], path: str, expected: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    done = backtrail("trace", str(tmp_path / path))
    assert done.returncode == 2
    assert expected in " ".join((done.stdout + done.stderr).split())


def test_a_wrong_interpreter_is_said_with_advice() -> None:
    done = backtrail("trace", str(EXAMPLE), "--python", "/nowhere/python")
    assert done.returncode == 2
    assert "/nowhere/python" in done.stdout + done.stderr


def test_trust_is_remembered_outside_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, data = tmp_path / "workspace", tmp_path / "data"
    workspace.mkdir()
    monkeypatch.setenv("BACKTRAIL_DATA", str(data))
    assert "will ask" in backtrail("trust", str(workspace), "show").stdout
    assert "only when you ask" in backtrail("trust", str(workspace), "ask").stdout
    assert "only when you ask" in backtrail("trust", str(workspace), "show").stdout
    assert list(workspace.iterdir()) == []
