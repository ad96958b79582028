"""The language server as an editor feels it: start, memory, hover, and a save up to its diagnostic.

`initialize` and memory stand beside python-lsp-server's in the same run; it is installed into an
environment of its own under .cache/ when it is missing. The servers take turns, so that a slow moment of
the machine meets both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest_lsp
from attrs import define, field
from pygls.protocol import default_converter

from backtrail_model.study.machine import describe

STARTS, SAVES, HOVERS = 9, 7, 1000
PEER = "python-lsp-server==1.14.0"
CACHE = Path(__file__).parents[1] / ".cache" / "bench" / "pylsp"
OURS = [sys.executable, "-m", "backtrail_server", "serve"]

BIG = "".join(
    f"def step_{n}(values):\n    total = {n}\n    for value in values:\n        total += value * {n}\n"
    f"    name = 'step {n}'\n    return total, name\n\n\n"
    for n in range(150)
)
MODULE = BIG + "def mean(values):\n    total = sum(values)\n    return total / (len(values) + 1)\n"
TEST = (
    "import big\n\n\ndef test_all():\n    for n in range(150):\n"
    "        getattr(big, f'step_{n}')([1, 2, 3])\n    assert big.mean([1, 2, 3]) == 2\n"
)


@define
class Client:
    """Just enough of a client: requests one at a time, notifications kept with the time they came."""

    process: subprocess.Popen[bytes]
    seen: list[tuple[float, str, Any]] = field(factory=list)
    _next: int = 0

    def notify(self, method: str, params: object) -> None:
        self._write({"jsonrpc": "2.0", "method": method, "params": params})

    def request(self, method: str, params: object) -> Any:
        self._next += 1
        self._write({"jsonrpc": "2.0", "id": self._next, "method": method, "params": params})
        while True:
            message = self.read()
            if message.get("id") == self._next and "method" not in message:
                return message.get("result")

    def until(self, wanted: Callable[[str, Any], bool]) -> float:
        """The time at which a message came that is wanted."""
        while True:
            message = self.read()
            if "method" in message and wanted(message["method"], message.get("params")):
                return time.perf_counter()

    def read(self) -> dict[str, Any]:
        """The next message; what the server asks is answered on the way."""
        assert self.process.stdout is not None
        length = 0
        while (line := self.process.stdout.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        message: dict[str, Any] = json.loads(self.process.stdout.read(length))
        if "method" in message:
            self.seen.append((time.perf_counter(), message["method"], message.get("params")))
            if "id" in message:
                self._write({"jsonrpc": "2.0", "id": message["id"], "result": self._answer(message)})
        return message

    def _answer(self, message: dict[str, Any]) -> object:
        if message["method"] == "window/showMessageRequest":
            return message["params"]["actions"][0]
        return [{}] if message["method"] == "workspace/configuration" else None

    def _write(self, message: object) -> None:
        assert self.process.stdin is not None
        body = json.dumps(message).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()


@contextmanager
def serving(command: list[str], root: Path) -> Iterator[tuple[Client, float]]:
    """A client whose server has answered `initialize`, and the seconds from the start until then."""
    capabilities = default_converter().unstructure(pytest_lsp.client_capabilities("visual-studio-code"))
    environ = {**os.environ, "BACKTRAIL_DATA": str(root / "data"), "BACKTRAIL_STATE": str(root / "data")}
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ
    )
    client = Client(process)
    folder = {"uri": root.as_uri(), "name": root.name}
    params = {
        "processId": None,
        "rootUri": folder["uri"],
        "capabilities": capabilities,
        "workspaceFolders": [folder],
    }
    try:
        client.request("initialize", params)
        seconds = time.perf_counter() - started
        client.notify("initialized", {})
        yield client, seconds
        client.request("shutdown", None)
        client.notify("exit", None)
        process.wait(20)
    finally:
        process.kill()
        process.wait()


def peer() -> list[str]:
    """The command of python-lsp-server, installed when it is missing."""
    python = CACHE / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (CACHE / "ready").exists():
        venv.create(CACHE, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "-q", PEER]
        subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
        (CACHE / "ready").touch()
    return [str(python), "-m", "pylsp"]


def starts(root: Path) -> None:
    commands = {"backtrail serve": OURS, PEER.replace("==", " "): peer()}
    times: dict[str, list[float]] = {name: [] for name in commands}
    memory: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(STARTS):
        for name, command in commands.items():
            with serving(command, root) as (client, seconds):
                # A request that needs no work: when it is answered, `initialized` has been dealt with.
                client.request("textDocument/hover", at(root / "big.py", 0, 0))
                times[name].append(seconds)
                memory[name].append(psutil.Process(client.process.pid).memory_info().rss / 2**20)
    print("| server | start to `initialize` answered | memory then |\n|---|---|---|")
    for name in commands:
        low, high = min(times[name]) * 1000, max(times[name]) * 1000
        middle = statistics.median(times[name]) * 1000
        print(
            f"| {name} | {middle:.0f} ms ({low:.0f}–{high:.0f}) | {statistics.median(memory[name]):.1f} MB |"
        )
    print()


def at(path: Path, line: int, character: int) -> dict[str, Any]:
    return {"textDocument": {"uri": path.as_uri()}, "position": {"line": line, "character": character}}


def saves_and_hovers(root: Path) -> None:
    with serving(OURS, root) as (client, _):
        for path in (root / "big.py", root / "test_big.py"):
            document = {"uri": path.as_uri(), "languageId": "python", "version": 1, "text": path.read_text()}
            client.notify("textDocument/didOpen", {"textDocument": document})
        rounds = [save(client, root) for _ in range(SAVES)]
        hovers(client, root)
        grown = psutil.Process(client.process.pid).memory_info().rss / 2**20
    plain = statistics.median(pytest_alone(root) for _ in range(SAVES))
    names = ("save → run begins", "run: start, tests, log read", "→ diagnostic", "save → diagnostic")
    print(
        f"| a save of big.py ({MODULE.count(chr(10))} lines, 1 failing test) | median of {SAVES} |\n|---|---|"
    )
    for index, name in enumerate(names):
        print(f"| {name} | {statistics.median(one[index] for one in rounds) * 1000:.0f} ms |")
    print(f"| plain `python -m pytest test_big.py` beside it | {plain * 1000:.0f} ms |")
    print(f"\nmemory after {SAVES} runs and {HOVERS} hovers: {grown:.1f} MB\n")


def save(client: Client, root: Path) -> tuple[float, float, float, float]:
    """Seconds of the parts. The test's number changes, so that each run has news to tell."""
    test = root / "test_big.py"
    number = int(time.perf_counter() * 1e6)
    test.write_text(TEST.replace("== 2", f"== {number}"))
    document = {"uri": test.as_uri(), "version": number % 10**9}
    client.notify(
        "textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": test.read_text()}]}
    )
    begun = time.perf_counter()
    client.seen.clear()
    client.notify("textDocument/didSave", {"textDocument": {"uri": test.as_uri()}})
    told = client.until(
        lambda method, params: method == "textDocument/publishDiagnostics" and str(number) in str(params)
    )
    create = first(client, lambda method, _: method == "window/workDoneProgress/create")
    end = first(client, lambda method, p: method == "$/progress" and p["value"]["kind"] == "end")
    return create - begun, end - create, told - end, told - begun


def first(client: Client, wanted: Callable[[str, Any], bool]) -> float:
    return next(when for when, method, params in client.seen if wanted(method, params))


def hovers(client: Client, root: Path) -> None:
    """Over recorded names all over the file, each asked for once the answer before has come."""
    times, empty = [], 0
    for index in range(HOVERS):
        line = (index * 7 % 150) * 8 + 3  # `total += value * n`
        begun = time.perf_counter()
        answer = client.request("textDocument/hover", at(root / "big.py", line, 9))
        times.append(time.perf_counter() - begun)
        empty += answer is None
    ordered = sorted(times)
    p50, p99 = ordered[HOVERS // 2] * 1000, ordered[HOVERS * 99 // 100] * 1000
    print(f"hover, {HOVERS} times over recorded names: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {empty} empty\n")


def pytest_alone(root: Path) -> float:
    begun = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "test_big.py"]
    subprocess.run(command, cwd=root, capture_output=True, check=False)
    return time.perf_counter() - begun


def main() -> None:
    print(describe("pygls", "lsprotocol", "pytest"))
    print()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "project"
        root.mkdir()
        (root / "big.py").write_text(MODULE)
        (root / "test_big.py").write_text(TEST)
        (root / "pyproject.toml").write_text(
            f'[tool.backtrail]\npython = "{Path(sys.executable).as_posix()}"\n'
        )
        starts(root)
        saves_and_hovers(root)


if __name__ == "__main__":
    main()
