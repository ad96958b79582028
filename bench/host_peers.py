"""The model host beside llama.cpp and transformers: the same published weights, in turns, in one run.

    python -m bench.host_peers [--llama-python PYTHON] [--runs N]

Ours is NF4 through our lane; transformers is `transformers serve` with bitsandbytes NF4 over HTTP, where
fastapi is installed, else its `generate`, which is what it runs for a request, without the web server;
llama.cpp is llama-cpp-python on the publisher's Q4_K_M file, from which the NF4 form was made.
llama-cpp-python may be installed for another interpreter, since it has to be compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backtrail_model import weights
from backtrail_model.study.machine import describe
from bench.peer_server import Server
from bench.workloads.editing import FUNCTION, LONG

MODEL = "qwen2.5-coder-1.5b"
CHAT = """<|im_start|>system
You are a helpful assistant.<|im_end|>
<|im_start|>user
{}<|im_end|>
<|im_start|>assistant
"""
REPAIR = """This function should return the sum of the prices of all rows with a name, and the mean over them,
but the total is wrong when a count is missing. Use 0 for a missing count.
Reply with the corrected function and nothing else.

{}"""


class Peer:
    """A contender's process."""

    def __init__(self, name: str, python: str, model: Path) -> None:
        self.name = name
        worker = str(Path(__file__).with_name("peer_worker.py"))
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
        self._process = subprocess.Popen(
            [python, worker, name, str(model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        print(f"{name}: loaded in {self._answer()['loaded']:.1f} s", flush=True)

    def ask(self, prompt: str, tokens: int, *, fresh: bool = True) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(
            json.dumps({"prompt": prompt, "tokens": tokens, "fresh": fresh}),
            file=self._process.stdin,
            flush=True,
        )
        return self._answer()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self._process.wait()}")
        return dict(json.loads(line))


def edit_speed(peer: Peer | Server, tokens: int) -> float:
    """Tokens a second after the first, of an answer that edits given code."""
    message = REPAIR.format(FUNCTION)
    got = peer.ask(message if isinstance(peer, Server) else CHAT.format(message), tokens)
    return (got["count"] - 1) / got["rest"]


def long_prompts(turn: int) -> tuple[str, str]:
    """About 700 tokens, and the same with about 200 others behind them; new ones each turn."""
    head = f"# turn {turn}\n" + LONG[:2900]
    return head, f"{head}\n# and then\n" + LONG[6000 + turn : 6800 + turn]


def first_tokens(peer: Peer, turn: int) -> tuple[float, float]:
    """Seconds to the first token of the longer prompt: cold, and after the shorter one was seen."""
    head, whole = long_prompts(turn)
    cold = peer.ask(whole, 1)["first"]
    peer.ask(head, 1)
    return cold, peer.ask(whole, 1, fresh=False)["first"]


def contenders(llama_python: str, *, transformers: bool) -> list[Peer | Server]:
    folder = weights.prepare(MODEL)
    peers: list[Peer | Server] = [Peer("ours", sys.executable, folder)]
    if transformers:
        web = find_spec("fastapi") is not None
        peers.append(Server(folder) if web else Peer("transformers", sys.executable, folder))
    found = subprocess.run([llama_python, "-c", "import llama_cpp"], capture_output=True, check=False)
    if found.returncode:
        print(f"llama-cpp-python is not installed for {llama_python}: left out")
    else:
        peers.insert(1, Peer("llama", llama_python, weights.fetch(MODEL).path))
    return peers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--llama-python", default=os.environ.get("BACKTRAIL_LLAMA_PYTHON", sys.executable))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=96, help="of the answer that edits code, at most")
    parser.add_argument("--few", type=int, default=16, help="tokens that transformers is asked for, at most")
    parser.add_argument("--no-transformers", action="store_true")
    asked = parser.parse_args()
    print(describe("torch", "transformers", "bitsandbytes"))
    peers = contenders(asked.llama_python, transformers=not asked.no_transformers)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    print(f"{MODEL}, {asked.runs} turns, medians, load at the start {load:.1f}", flush=True)
    try:
        compare(peers, asked.runs, asked.tokens, asked.few)
    finally:
        for peer in peers:
            peer.close()


def compare(peers: list[Peer | Server], runs: int, tokens: int, few: int) -> None:
    speeds: dict[str, list[float]] = {peer.name: [] for peer in peers}
    colds: dict[str, list[float]] = {peer.name: [] for peer in peers}
    warms: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for peer in peers:
        peer.ask("def f(x):\n    return x\n" * 20, 4)  # code and weights come into memory
    for turn in range(runs):
        for peer in peers:
            speeds[peer.name].append(edit_speed(peer, few if peer.name == "transformers" else tokens))
            print(f"turn {turn}, {peer.name}: edit at {speeds[peer.name][-1]:.1f} tok/s", flush=True)
        for peer in peers:
            if peer.name != "transformers" and isinstance(peer, Peer):  # it keeps nothing between prompts
                cold, warm = first_tokens(peer, turn)
                colds[peer.name].append(cold)
                warms[peer.name].append(warm)
                print(
                    f"turn {turn}, {peer.name}: first token {cold:.2f} s cold, {warm:.2f} s warm", flush=True
                )
    report(peers, speeds, colds, warms)


def report(
    peers: list[Peer | Server],
    speeds: dict[str, list[float]],
    colds: dict[str, list[float]],
    warms: dict[str, list[float]],
) -> None:
    print(
        "\n| | decode of an edit, tok/s (each turn) | first token cold, s | with 700 of 900 tokens seen, s |"
    )
    print("|---|---|---|---|")
    for peer in peers:
        each = ", ".join(f"{speed:.1f}" for speed in speeds[peer.name])
        cold, warm = (
            f"{statistics.median(seconds):.2f}" if seconds else "–"
            for seconds in (colds[peer.name], warms[peer.name])
        )
        print(f"| {peer.name} | {statistics.median(speeds[peer.name]):.1f} ({each}) | {cold} | {warm} |")
    print()
    for name, others in speeds.items():
        if name != "ours":
            ratios = [a / b for a, b in zip(speeds["ours"], others, strict=True)]
            print(f"decode of an edit, ours / {name}: {statistics.median(ratios):.2f}")
    ratio = statistics.median(w / c for w, c in zip(warms["ours"], colds["ours"], strict=True))
    print(f"first token, ours warm / cold: {ratio:.2f}")
    if "llama" in warms:
        ratio = statistics.median(a / b for a, b in zip(warms["ours"], warms["llama"], strict=True))
        print(f"first token, ours warm / llama warm: {ratio:.2f}")


if __name__ == "__main__":
    main()
