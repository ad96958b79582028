"""Which Python is the user's, and why that one."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve, frozen

import backtrail_probe
from backtrail_tracer.starting import started_process

LAUNCH = Path(backtrail_probe.__file__).with_name("launch.py")

OLDEST = (3, 9)
"""The oldest Python that the probe runs on."""

# Understood by every Python there ever was, so that one which is too old can be told that.
_ASK = (
    "import sys; print(sys.executable); "
    "print('%d %d %s' % (sys.version_info[0], sys.version_info[1], sys.version.split()[0]))"
)
_ANSWER_S = 15.0


class InterpreterError(Exception):
    """An interpreter that cannot be used. `advice` says what the person can do about it."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


@frozen
class Interpreter:
    """A Python and the reason for it, in words to be shown: "python from .venv in the workspace".

    `version`, `details` and `executable` are known once `describe` has asked it. The executable is another
    file than `path` where that is a launcher, as pyenv's and asdf's are.
    """

    path: Path
    reason: str
    version: tuple[int, int] | None = None
    details: str = ""
    executable: Path | None = None


def choose(root: Path, setting: str | None, environ: Mapping[str, str]) -> Interpreter:
    """The setting, else the workspace's environment, else the active one, else what PATH offers.

    Runs nothing. Raises InterpreterError when the setting names nothing or no Python can be found.
    """
    if setting:
        return Interpreter(_from_setting(root, setting, environ), "python from the setting `python`")
    for folder, reason in _environments(root, environ):
        path = _python_in(folder)
        if path is not None:
            return Interpreter(path, reason)
    for name in ("python3", "python"):
        found = shutil.which(name, path=environ.get("PATH", ""))
        if found:
            return Interpreter(Path(found), f"{name} from PATH")
    raise InterpreterError(
        "no Python was found: the workspace has no .venv, VIRTUAL_ENV is not set and PATH has no python3",
        "Install Python 3.9 or newer, make a .venv in the workspace, or set `python` to its path.",
    )


def _environments(root: Path, environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    for name in (".venv", "venv"):
        yield root / name, f"python from {name} in the workspace"
    if environ.get("VIRTUAL_ENV"):
        yield Path(environ["VIRTUAL_ENV"]), "python from the active environment (VIRTUAL_ENV)"


def _python_in(folder: Path) -> Path | None:
    """The path is not resolved: an environment's python is a link, and the link is what makes it one."""
    for relative in ("bin/python", "bin/python3", "Scripts/python.exe"):
        path = folder / relative
        if path.is_file():
            return path
    return None


def _from_setting(root: Path, setting: str, environ: Mapping[str, str]) -> Path:
    """A path (relative to the root, `~` allowed), the folder of an environment, or a command on PATH."""
    path = root / Path(setting).expanduser()
    if path.is_dir():
        inside = _python_in(path)
        if inside is not None:
            return inside
    elif path.is_file():
        return path
    found = (
        None if os.sep in setting or "/" in setting else shutil.which(setting, path=environ.get("PATH", ""))
    )
    if found:
        return Path(found)
    raise InterpreterError(
        f"the setting `python` is {setting!r}, and there is no Python there",
        "Set it to the path of a python, to the folder of a virtual environment, or leave it empty.",
    )


async def describe(interpreter: Interpreter) -> Interpreter:
    """Asks the interpreter who it is, which runs it: only after consent. It compiles the probe too:
    inside the sandbox, where nothing can be kept, each run would have to.

    Raises InterpreterError, with advice, when it is missing, is no Python, or is older than 3.9.
    """
    answer = await _ask(interpreter.path, "-c", _ASK)
    try:
        *before, last = answer.strip().splitlines()
        major, minor, details = last.split()
        version = (int(major), int(minor))
    except (ValueError, IndexError) as error:
        raise InterpreterError(
            f"{interpreter.path} ({interpreter.reason}) did not answer as a Python does",
            "Set `python` to the path of a python.",
        ) from error
    if version < OLDEST:
        raise InterpreterError(
            f"{interpreter.path} ({interpreter.reason}) is Python {version[0]}.{version[1]}",
            "Backtrail traces programs on Python 3.9 and newer: set `python` to a newer one.",
        )
    await _ask(interpreter.path, str(LAUNCH), "--compile")
    executable = Path(before[-1]) if before and Path(before[-1]).is_absolute() else None
    return evolve(interpreter, version=version, details=details, executable=executable)


async def _ask(path: Path, *command: str) -> str:
    pipe = asyncio.subprocess.PIPE
    try:
        process = await started_process(
            asyncio.create_subprocess_exec(
                str(path), "-E", "-S", *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
            )
        )
    except OSError as error:
        raise InterpreterError(
            f"{path} cannot be started: {error.strerror or error}",
            "Set `python` to the path of a python, or make a .venv in the workspace.",
        ) from error
    try:
        async with asyncio.timeout(_ANSWER_S):
            stdout, _ = await process.communicate()
    except TimeoutError as error:
        raise InterpreterError(
            f"{path} gave no answer within {_ANSWER_S:g} s", "Set `python` to the path of a python."
        ) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return stdout.decode("utf-8", "replace")
