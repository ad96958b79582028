"""`backtrail host` as a process: the note it leaves, how it ends, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

START = "import sys; from backtrail_model.host.serve import main; sys.exit(main(*eval(sys.argv[1])))"


def start(state: Path, *arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "BACKTRAIL_STATE": str(state)}
    environment.pop("BACKTRAIL_TOKEN", None)
    command = [sys.executable, "-c", START, repr(arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.fixture
def served(small_folder: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(tmp_path, str(small_folder), "127.0.0.1", 0)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.model
@pytest.mark.skipif(os.name == "nt", reason="signals are a matter of POSIX")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_the_middle_of_a_generation(
    served: subprocess.Popen[str], tmp_path: Path, ending: signal.Signals
) -> None:
    assert served.stdout is not None
    ready = served.stdout.readline()
    note = json.loads((tmp_path / "host.json").read_text())
    assert ready.startswith(f"ready: {note['url']}, smollm2-135m, ")
    assert note["pid"] == served.pid
    headers = {"Authorization": f"Bearer {note['token']}"}
    body = {"prompt": "one two", "max_tokens": 4000, "temperature": 1, "stream": True}
    url = f"{note['url']}/v1/completions"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=60) as answer:
        assert next(answer.iter_text())
        started = time.monotonic()
        served.send_signal(ending)
        assert served.wait(timeout=15) == 0
        assert time.monotonic() - started < 10
    assert not (tmp_path / "host.json").exists()


@pytest.mark.model
def test_prompts_and_answers_are_not_written_anywhere(served: subprocess.Popen[str], tmp_path: Path) -> None:
    """Neither of a request that is answered, nor of one that is refused, nor of one that fails."""
    assert served.stdout is not None
    served.stdout.readline()
    note = json.loads((tmp_path / "host.json").read_text())
    headers = {"Authorization": f"Bearer {note['token']}"}
    secret, url = "quetzalcoatl", f"{note['url']}/v1/completions"
    with httpx.Client(headers=headers, timeout=60) as client:
        assert client.post(url, json={"prompt": f"{secret} is", "max_tokens": 3}).status_code == 200
        assert client.post(url, json={"prompt": secret, "colour": secret}).status_code == 400
        assert client.post(url, content=f'{{"prompt": "{secret}'.encode()).status_code == 400
        late = {"X-Backtrail-Deadline": "0"}
        assert client.post(url, json={"prompt": secret}, headers=late).status_code == 504
    served.terminate()
    said, complained = served.communicate(timeout=30)
    assert secret not in said + complained
    assert not any(
        secret in path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()
    )


OWNER = """
import asyncio, sys
from backtrail_server.hosting import LocalHost

async def main():
    host = LocalHost()
    await host.start(sys.argv[1], print)
    print("started", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.model
def test_it_goes_with_a_program_that_is_killed(small_folder: Path, tmp_path: Path) -> None:
    """An editor kills a server that does not end at once, and a host has a gigabyte in memory."""
    environment = {**os.environ, "BACKTRAIL_STATE": str(tmp_path)}
    command = [sys.executable, "-c", OWNER, str(small_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        assert any(line == "started\n" for line in server.stdout)
        host = psutil.Process(json.loads((tmp_path / "host.json").read_text())["pid"])
        assert host.is_running()
        server.kill()
        assert not psutil.wait_procs([host], timeout=20)[1]
    assert not (tmp_path / "host.json").exists()


def outcome(tmp_path: Path, *arguments: object) -> tuple[int, str]:
    process = start(tmp_path, *arguments)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def test_an_address_that_others_reach_is_refused(tmp_path: Path) -> None:
    status, said = outcome(tmp_path, "smollm2-135m", "0.0.0.0", 0)
    assert status == 2
    assert "can be reached from outside" in said


def test_an_unknown_model_is_told(tmp_path: Path) -> None:
    status, said = outcome(tmp_path, "no-such-model", "127.0.0.1", 0)
    assert status == 1
    assert "There is no model 'no-such-model'" in said
    assert "Traceback" not in said


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, said = outcome(tmp_path, "smollm2-135m", "127.0.0.1", port)
    assert status == 1
    assert f"cannot listen on 127.0.0.1:{port}" in said
