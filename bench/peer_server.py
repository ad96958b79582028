"""`transformers serve` as a contender of bench/host_peers.py: its own process, asked over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

SERVE = "import sys; from transformers.cli.transformers import main; sys.exit(main())"


class Server:
    """A server that runs until it is closed."""

    name = "transformers"

    def __init__(self, folder: Path) -> None:
        self._place = tempfile.TemporaryDirectory()
        model = readable(folder, Path(self._place.name))
        self._url, self._model = f"http://127.0.0.1:{free_port()}", str(model)
        command = [sys.executable, "-c", SERVE, "serve", str(model), "--port", self._url.rpartition(":")[2]]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        began = time.perf_counter()
        while not self._answers():
            if self._process.poll() is not None:
                raise RuntimeError(f"transformers serve ended with {self._process.returncode}")
            time.sleep(0.5)
        print(f"transformers serve: ready in {time.perf_counter() - began:.1f} s", flush=True)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self._url}/health", timeout=5).is_success
        except httpx.TransportError:
            return False

    def ask(self, message: str, tokens: int) -> dict[str, float]:
        """The answer to one message of a user: tokens, and the seconds from the first to the last."""
        body = {"model": self._model, "messages": [{"role": "user", "content": message}], "stream": True}
        times = []
        asked = {**body, "max_tokens": tokens, "temperature": 0.0}
        with httpx.stream("POST", f"{self._url}/v1/chat/completions", json=asked, timeout=900) as answer:
            for line in answer.iter_lines():
                choices = json.loads(line[6:]).get("choices") if line.startswith("data: {") else None
                if choices and choices[0]["delta"].get("content"):
                    times.append(time.perf_counter())
        return {"count": len(times), "rest": times[-1] - times[0]}

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._place.cleanup()


def readable(folder: Path, place: Path) -> Path:
    """The folder with the model's class in its configuration, which older versions of ours left out."""
    for file in folder.iterdir():
        if file.is_file() and file.name != "config.json":
            (place / file.name).symlink_to(file)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["architectures"] = config.get("architectures") or ["Qwen2ForCausalLM"]
    (place / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return place


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
