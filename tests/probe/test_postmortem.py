"""The program stands still at its failure, and a debugger sees its real frames."""

from __future__ import annotations

import importlib.util
import os
import secrets
import subprocess
from pathlib import Path

import pytest

from backtrail_probe.wire import PostMortem
from tests.probe.dap import Dap
from tests.probe.harness import ALL, LAUNCH, make_spec, python, read_log, write_files

SCRIPT = """
    def broken(items):
        total = sum(items)
        return total // (len(items) - 3)

    print(broken([1, 2]), flush=True)
    broken([1, 2, 3])
"""
TEST = """
    def test_it():
        found = {"a": 41}
        assert found["a"] == 42
"""


def debugpy_folder() -> str:
    spec = importlib.util.find_spec("debugpy")
    assert spec is not None and spec.origin is not None
    return str(Path(spec.origin).parent.parent)


@pytest.mark.parametrize(
    ("version", "kind", "source", "line", "expression", "value"),
    [
        *((version, "script", SCRIPT, 4, "total + len(items)", "9") for version in ALL if version != "3.10"),
        ("3.11", "pytest", TEST, 4, "found", "{'a': 41}"),
    ],
)  # fmt: skip
def test_stops_at_the_failure(
    tmp_path: Path, version: str, kind: str, source: str, line: int, expression: str, value: str
) -> None:
    folder = tmp_path / "project"
    write_files(folder, {"test_main.py": source})
    token = secrets.token_hex(16)
    with Dap() as dap:
        where = PostMortem(*dap.listen(), token, debugpy_folder())
        spec = make_spec(folder, kind, "test_main.py", postmortem=where)
        program = subprocess.Popen(
            [python(version), str(LAUNCH), str(spec)],
            cwd=folder, env={**os.environ, "TMPDIR": str(spec.parent)}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            dap.configure()
            thread = dap.event("stopped")["threadId"]
            frame = dap.request("stackTrace", threadId=thread)["stackFrames"][0]
            assert (frame["line"], Path(frame["source"]["path"]).name) == (line, "test_main.py")
            answer = dap.request("evaluate", expression=expression, frameId=frame["id"], context="hover")
            assert answer["result"] == value
            records = read_log(Path(spec.parent / "log"))
            assert records[-1] == ["postmortem", {"host": where.host, "port": where.port}]
            assert records[-2][0] == "end"
            dap.request("continue", threadId=thread)
            assert program.wait(timeout=20) == 1
        finally:
            program.kill()
            _, err = program.communicate()
        assert "backtrail" not in err and "PYDEV" not in err
