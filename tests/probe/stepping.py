"""Steps through a program with debugpy over DAP, as a person would who presses "step into" to the end.

Slow, and so the oracle for the recorders: it shares nothing with them but the interpreter. A stop is what
a debugger shows (stack, variables of the top frame, the returned values it lists, an exception); what is
made of the stops is said in `oracle.py`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.probe.dap import Dap
from tests.probe.harness import python, write_files
from tests.probe.test_postmortem import debugpy_folder

RETURNED = "(return) "
_PROMPT = """
import runpy, socket
class Prompt(socket.socket):
    def connect(self, address):
        super().connect(address)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
socket.socket = Prompt
runpy.run_module("debugpy", run_name="__main__", alter_sys=True)
"""
# debugpy sends an answer's head and body apart, and the system holds the second back until the first was
# acknowledged: 40 ms a request, four requests a step. Sent promptly, a step takes a tenth of that.
_LONGEST = 2000


@dataclass(frozen=True)
class Place:
    """One frame of the stack; `id` is the same at every stop while the frame lives."""

    id: int
    function: str
    file: str
    line: int


@dataclass(frozen=True)
class Stop:
    """`stack` innermost first; `variables` and `returned` (function -> value) as text; `exception`: type."""

    stack: tuple[Place, ...]
    variables: dict[str, str]
    returned: dict[str, str]
    exception: str
    folded: bool = False  # see `oracle.py`

    @property
    def top(self) -> Place:
        return self.stack[0]


def stops(files: dict[str, str], main: str, version: str) -> list[Stop]:
    """All stops from the first line of each of the files but `main`, which imports them, to the end."""
    with tempfile.TemporaryDirectory() as name, Dap() as dap:
        folder = Path(name).resolve()
        write_files(folder, files)
        host, port = dap.listen(justMyCode=True, showReturnValue=True)
        debuggee = ["--connect", f"{host}:{port}", "--wait-for-client", str(folder / main)]
        program = subprocess.Popen(
            [python(version), "-Xfrozen_modules=off", "-c", _PROMPT, *debuggee],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": debugpy_folder(), "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
        )  # fmt: skip
        try:
            dap.event("initialized")
            for file in sorted(set(files) - {main}):
                dap.request("setBreakpoints", source={"path": str(folder / file)}, breakpoints=[{"line": 1}])
            dap.request("setExceptionBreakpoints", filters=["raised"])
            dap.request("configurationDone")
            return list(_walk(dap, folder))
        finally:
            program.kill()
            program.wait()


def _walk(dap: Dap, folder: Path) -> Iterator[Stop]:
    for _ in range(_LONGEST):
        event = dap.either("stopped", "terminated")
        if event["event"] == "terminated":
            return
        body = event["body"]
        yield _look(dap, body, folder)
        dap.request("stepIn", threadId=body["threadId"])
    raise TimeoutError(f"not at the end after {_LONGEST} steps")


def _look(dap: Dap, stopped: dict[str, Any], folder: Path) -> Stop:
    thread = stopped["threadId"]
    frames = dap.request("stackTrace", threadId=thread)["stackFrames"]
    scope = dap.request("scopes", frameId=frames[0]["id"])["scopes"][0]
    held = dap.request("variables", variablesReference=scope["variablesReference"])["variables"]
    exception = ""
    if stopped["reason"] == "exception":
        exception = dap.request("exceptionInfo", threadId=thread)["exceptionId"].rpartition(".")[2]
    values = {each["name"]: each["value"] for each in held}
    return Stop(
        tuple(
            _place(frame, folder)
            for frame in frames
            if frame.get("source", {}).get("path", "").startswith(str(folder))
        ),
        {name: value for name, value in values.items() if not name.startswith(RETURNED)},
        {name[len(RETURNED) :]: value for name, value in values.items() if name.startswith(RETURNED)},
        exception,
    )


def _place(frame: dict[str, Any], folder: Path) -> Place:
    return Place(frame["id"], frame["name"], os.path.relpath(frame["source"]["path"], folder), frame["line"])
