"""Starts the real `launch.py` on real interpreters and reads what it wrote."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtrail_probe.wire import CHILDREN, LOG_HEADER_SIZE, LOG_MAGIC, RunSpec
from backtrail_tracer.reader import read_bytes
from tests import pythons

LAUNCH = Path(sys.modules[RunSpec.__module__].__file__ or "").with_name("launch.py")
PYTHONS = pythons.found()
ALL = [".".join(map(str, version)) for version in sorted(PYTHONS)]
TWO = sorted({".".join(map(str, min(PYTHONS))), ".".join(map(str, max(PYTHONS)))})
"""The oldest and the newest: enough for what does not hang on the version."""

_OLDER = [version for version in ALL if int(version.split(".")[1]) < 12]
NEWEST_TWO_RECORDERS = [
    *((version, "settrace") for version in _OLDER[-1:]),
    *((version, "monitoring") for version in ALL[-1:] if version not in _OLDER),
]
"""(version, recorder): each recorder on the newest Python that would choose it."""


def python(version: str) -> str:
    major, minor = version.split(".")
    return PYTHONS[int(major), int(minor)]


@dataclass(frozen=True)
class Ran:
    """What a run left: exit status, output, and the log's records as they stand there."""

    code: int
    out: str
    err: str
    records: list[list[Any]]

    def of(self, *kinds: str) -> list[list[Any]]:
        return [record for record in self.records if record[0] in kinds]

    @property
    def end(self) -> dict[str, Any]:
        ends = self.of("end")
        assert len(ends) == 1, f"{len(ends)} ends\n{self.err}"
        return dict(ends[0][1])

    @property
    def failures(self) -> list[dict[str, Any]]:
        return [record[1] for record in self.of("failure")]

    @property
    def outcomes(self) -> dict[str, str]:
        names = {record[1]: record[2] for record in self.of("item")}
        return {names[record[1]]: record[2] for record in self.of("done")}

    def steps(self, path: str = "") -> list[str]:
        return list(steps(self.records, path))

    def last_values(self) -> dict[str, list[Any]]:
        """The last recorded value of each variable, over all frames."""
        found: dict[str, list[Any]] = {}
        at = {"call": 6, "line": 5, "return": 5, "yield": 5, "unwind": 4}
        for record in self.records:
            if record[0] in at:
                found.update(record[at[record[0]]])
        return found


def read_log(path: Path) -> list[list[Any]]:
    """The records; an empty list when the probe did not come to make a log."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        assert file.read(LOG_HEADER_SIZE)[:8] == LOG_MAGIC
    return list(_whole(json.loads(line) for line in read_bytes(path).decode("ascii").splitlines()))


def _whole(records: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """The short records of a line's later hits as the whole ones that they stand for."""
    codes: dict[int, int] = {}
    hits: dict[tuple[int, int], int] = {}
    time = 0
    for record in records:
        if record[0] == "call":
            codes[record[1]] = record[3]
        elif record[0] == "item":
            hits.clear()
        elif record[0] == "line":
            at = codes[record[1]], record[2]
            if record[3] is None:
                record[3] = hits.get(at, 0) + 1
            hits[at], time = record[3], record[4]
        if record[0] == "again":
            _, frame, line, changed, *told = record
            time = told[0] if told else time
            at = codes[frame], line
            hits[at] = hits.get(at, 0) + 1
            yield ["line", frame, line, hits[at], time, changed, False]
        else:
            yield record


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


def make_spec(folder: Path, kind: str, target: str | list[str], **more: Any) -> Path:
    """Writes a specification for the project in `folder`; scratch and log lie beside it."""
    scratch = folder.parent / (folder.name + "-scratch")
    scratch.mkdir(exist_ok=True)
    log = scratch / "log"
    log.unlink(missing_ok=True)
    shutil.rmtree(f"{log}{CHILDREN}", ignore_errors=True)
    fields: dict[str, Any] = {"traced": [str(folder)], **more}
    targets = [target] if isinstance(target, str) else target
    spec = RunSpec(
        kind, targets, root=str(folder), cwd=str(folder), scratch=str(scratch), log=str(log), **fields
    )
    path = scratch / "spec.json"
    path.write_text(spec.to_json(), encoding="utf-8")
    return path


def run_probe(
    folder: Path,
    files: str | Mapping[str, str],
    kind: str = "script",
    version: str = "",
    target: str | list[str] = "",
    environ: Mapping[str, str] | None = None,
    timeout: float = 60,
    **more: Any,
) -> Ran:
    """Runs files (or one `main.py`) in a fresh interpreter under the probe. `more` goes to RunSpec."""
    files = {"main.py": files} if isinstance(files, str) else files
    folder = folder / "project"
    folder.mkdir(exist_ok=True)
    write_files(folder, files)
    spec = make_spec(folder, kind, target or next(iter(files)), **more)
    interpreter = python(version) if version else sys.executable
    # What pytest tells its own workers is not for the programs that the tests run.
    outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env = {**outer, "TMPDIR": str(spec.parent), "PYTHONIOENCODING": "utf-8", **(environ or {})}
    process = subprocess.Popen(
        [interpreter, str(LAUNCH), str(spec)],
        cwd=folder, env=env, text=True, encoding="utf-8",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its children hold the pipes open
        out, err = process.communicate()
    return Ran(process.returncode, out, err, read_log(spec.parent / "log"))


def steps(records: list[list[Any]], path: str = "") -> Iterator[str]:
    """The events as one line each, with frames by name and without times and identities:

    `f(n=1)`, `f:2`, `f:3 t=0`, `f:4 -> 1`, `f:4 => 1` (yield), `f:4 <=` (resume), `f:4 !KeyError`,
    `f:4 !!` (left by the exception). With `path`, those of one file only.
    """
    files = {record[1] for record in records if record[0] == "file" and record[2].endswith(path)}
    codes = {record[1]: record[3] for record in records if record[0] == "code" and record[2] in files}
    names: dict[int, str] = {}
    for kind, *rest in records:
        if kind == "call" and rest[2] in codes:
            names[rest[0]] = codes[rest[2]]
        if kind in _STEPS and rest[0] in names:
            yield _STEPS[kind](names[rest[0]], rest).rstrip()


_STEPS: dict[str, Callable[[str, list[Any]], str]] = {
    "call": lambda name, rest: f"{'late ' if rest[6] else ''}{name}({shown(rest[5])})",
    "line": lambda name, rest: f"{name}:{rest[1]} {shown(rest[4])}",
    "return": lambda name, rest: f"{name}:{rest[1]} -> {rest[3][1]} {shown(rest[4])}",
    "yield": lambda name, rest: f"{name}:{rest[1]} => {rest[3][1]} {shown(rest[4])}",
    "resume": lambda name, rest: f"{name}:{rest[1]} <=",
    "raise": lambda name, rest: f"{name}:{rest[1]} !{rest[3]}",
    "unwind": lambda name, rest: f"{name}:{rest[1]} !! {shown(rest[3])}",
}


def shown(values: dict[str, list[Any]]) -> str:
    return " ".join(f"{name}={value[1]}" for name, value in values.items())
