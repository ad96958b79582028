"""Which Python is chosen, why, and what is said when none can be used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from backtrail_tracer.interpreter import Interpreter, InterpreterError, choose, describe

CASES: Mapping[str, tuple[list[str], str | None, dict[str, str], str, str]] = {
    # files, setting, environment, chosen, reason; {} is the folder of the case
    "the workspace's .venv": (
        [".venv/bin/python"],
        None,
        {},
        "ws/.venv/bin/python",
        "python from .venv in the workspace",
    ),
    "the workspace's venv": (
        ["venv/bin/python"],
        None,
        {},
        "ws/venv/bin/python",
        "python from venv in the workspace",
    ),
    "an environment that only has python3": (
        [".venv/bin/python3"],
        None,
        {},
        "ws/.venv/bin/python3",
        "python from .venv in the workspace",
    ),
    "Windows": (
        [".venv/Scripts/python.exe"],
        None,
        {},
        "ws/.venv/Scripts/python.exe",
        "python from .venv in the workspace",
    ),
    ".venv before the active environment": (
        [".venv/bin/python", "../active/bin/python"],
        None,
        {"VIRTUAL_ENV": "{}/active"},
        "ws/.venv/bin/python",
        "python from .venv in the workspace",
    ),
    "the active environment": (
        ["../active/bin/python"],
        None,
        {"VIRTUAL_ENV": "{}/active"},
        "active/bin/python",
        "python from the active environment (VIRTUAL_ENV)",
    ),
    "PATH": (
        ["../bin/python3", "../bin/python"],
        None,
        {"PATH": "{}/bin"},
        "bin/python3",
        "python3 from PATH",
    ),
    "PATH with python only": (["../bin/python"], None, {"PATH": "{}/bin"}, "bin/python", "python from PATH"),
    "a setting before all": (
        [".venv/bin/python", "tools/py"],
        "tools/py",
        {},
        "ws/tools/py",
        "python from the setting `python`",
    ),
    "a setting that is absolute": (
        ["../else/py"],
        "{}/else/py",
        {},
        "else/py",
        "python from the setting `python`",
    ),
    "a setting that names an environment": (
        ["env/bin/python"],
        "env",
        {},
        "ws/env/bin/python",
        "python from the setting `python`",
    ),
    "a setting that names a command": (
        ["../bin/python3.12"],
        "python3.12",
        {"PATH": "{}/bin"},
        "bin/python3.12",
        "python from the setting `python`",
    ),
}


def make(base: Path, files: list[str]) -> Path:
    root = base / "ws"
    root.mkdir()
    for name in files:
        path = (root / name).resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\necho ran >> ran\n")
        path.chmod(0o755)
    return root


@pytest.mark.parametrize("name", CASES)
def test_choose(name: str, tmp_path: Path) -> None:
    files, setting, environ, chosen, reason = CASES[name]
    root = make(tmp_path, files)
    filled = {key: value.replace("{}", str(tmp_path)) for key, value in environ.items()}
    found = choose(root, setting and setting.replace("{}", str(tmp_path)), filled)
    assert (found.path, found.reason) == (tmp_path / chosen, reason)
    assert not list(tmp_path.rglob("ran"))


@pytest.mark.parametrize("setting", ["nowhere/python", "folder", "no-such-command"])
def test_a_setting_that_leads_nowhere_is_said(setting: str, tmp_path: Path) -> None:
    root = make(tmp_path, ["folder/readme", ".venv/bin/python"])
    with pytest.raises(InterpreterError, match="no Python there") as raised:
        choose(root, setting, {})
    assert "virtual environment" in raised.value.advice


def test_no_python_at_all(tmp_path: Path) -> None:
    with pytest.raises(InterpreterError, match=r"no \.venv") as raised:
        choose(make(tmp_path, []), None, {"PATH": str(tmp_path)})
    assert "Install Python 3.9" in raised.value.advice


async def test_describe_asks_for_the_version() -> None:
    described = await describe(Interpreter(Path(sys.executable), "the one of the tests"))
    assert described.version == sys.version_info[:2]
    assert described.details == ".".join(map(str, sys.version_info[:3]))
    assert described.reason == "the one of the tests"


async def test_behind_a_launcher_the_executable_is_known(tmp_path: Path) -> None:
    """As pyenv has them: beside these lie no packages that a worker could import ahead."""
    launcher = tmp_path / "shims" / "python3"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\necho "a word of its own"\nexec {sys.executable} "$@"\n')
    launcher.chmod(0o755)
    described = await describe(Interpreter(launcher, "a launcher"))
    assert (described.path, described.executable) == (launcher, Path(sys.executable))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("#!/bin/sh\necho 3 8 3.8.1\n", "is Python 3.8"),
        ("#!/bin/sh\necho 2 7 2.7.18\n", "is Python 2.7"),
        ("#!/bin/sh\necho hello\n", "did not answer as a Python does"),
        ("#!/bin/sh\nexit 3\n", "did not answer as a Python does"),
        ("#!/no/such/interpreter\n", "cannot be started"),
        (None, "cannot be started"),
    ],
)
async def test_what_cannot_be_used_is_said_with_advice(
    script: str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "python"
    if script is not None:
        path.write_text(script)
        path.chmod(0o755)
    with pytest.raises(InterpreterError, match=message) as raised:
        await describe(Interpreter(path, "a reason"))
    assert "`python`" in raised.value.advice
