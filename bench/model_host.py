"""The model host in figures: loading, time to first token, prefill, decode, drafts, batches.

    python -m bench.model_host [MODEL] [--contended]

Medians over runs in one process, so that ratios hold even where absolute times vary. `--contended`
keeps one core busy meanwhile, as a test run of the user would. "CPU" is processor time of all threads, of
the last run: where other work keeps the cores busy, half of it is what two free cores would take at best.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backtrail_model import weights

# The host's package comes before torch: it sets how threads wait for each other.
from backtrail_model.host import serve
from backtrail_model.host.drafts import Pace
from backtrail_model.host.generate import Counters, Lane, Task, torch
from backtrail_model.host.head import SHORTLIST, ShortlistHead
from backtrail_model.host.integer import IntegerLinear
from backtrail_model.host.linear import PackedLinear
from backtrail_model.host.load import load
from backtrail_model.host.passing import whole
from backtrail_model.host.prefixes import Prefixes
from backtrail_model.host.prompts import Prompts
from backtrail_model.host.sampling import Sampling
from backtrail_model.study.machine import describe
from bench.workloads.editing import FUNCTION, LONG

EDIT = "Reply with this function, `total` renamed to `result`, and nothing else:\n\n{}"


def median(measure: Callable[[], float], runs: int) -> float:
    return statistics.median(measure() for _ in range(runs))


class Bench:
    """Times tasks on a lane of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.loaded = folder, load(folder)
        loaded = self.loaded
        self.prompts = Prompts(loaded.tokenizer, loaded.model.config)
        self.first_cpu = self.rest_cpu = self.token_cpu = 0.0
        self.fresh()

    def fresh(self) -> None:
        self.lane = self.lane_of(Prefixes(256 << 20))

    def lane_of(self, prefixes: Prefixes) -> Lane:
        return Lane(self.loaded.model, prefixes, Counters(), Pace(serve.costs(self.loaded.form)))

    def run(self, ids: list[int], max_tokens: int, **options: Any) -> tuple[float, float, int]:
        """Seconds to the first token, seconds for the rest, and how many tokens came."""
        started, first, count = time.perf_counter(), 0.0, 0
        spent = time.process_time()
        with torch.inference_mode():
            for step in self.lane.generate(Task(ids, max_tokens, **options), lambda sample: True):
                count += sum(len(tokens.ids) for tokens in step)
                if step and not first:
                    first = time.perf_counter() - started
                    self.first_cpu, spent = time.process_time() - spent, time.process_time()
        self.rest_cpu = time.process_time() - spent
        return first, time.perf_counter() - started - first, count

    def cold(self, ids: list[int]) -> float:
        self.fresh()
        return self.run(ids, 1)[0]

    def decode(self, ids: list[int], tokens: int, **options: Any) -> float:
        """Tokens a second after the first, all samples together."""
        samples = options.get("samples", 1)
        _, seconds, count = self.run(ids, tokens, **options)
        self.token_cpu = self.rest_cpu / max(1, count - samples)
        return (count - samples) / seconds if count > samples else 0.0


def prefill(bench: Bench, runs: int) -> None:
    text = bench.prompts.plain(LONG)
    for size in (128, 320, 900):
        seconds = median(lambda size=size: bench.cold(text[:size]), runs)
        print(
            f"prefill of {size:4} tokens, cold         {seconds:6.2f} s   {size / seconds:6.0f} tok/s"
            f"   CPU {bench.first_cpu:6.2f} s"
        )
    bench.fresh()
    bench.run(text[:700], 1)
    kept = bench.lane.prefixes

    def warm() -> float:
        bench.lane = bench.lane_of(kept)
        other = [*text[:700], *text[1000:1200]]
        other[-1] = int(time.perf_counter_ns() % 1000) + 100  # a new ending each time
        other[700] = int(time.perf_counter_ns() % 997) + 100  # so that only 700 tokens are shared
        return bench.run(other, 1)[0]

    seconds = median(warm, runs)
    print(f"first token, 900 tokens of which 700 were seen {seconds:6.2f} s   CPU {bench.first_cpu:6.2f} s")


def decode(bench: Bench, runs: int, tokens: int) -> None:
    text = bench.prompts.plain(LONG)[:300]
    edit = bench.prompts.chat([{"role": "user", "content": EDIT.format(FUNCTION)}])
    for name, ids in (("going on with code", text), ("edit of given code", edit)):
        for lookup in (False, True):
            speed = median(lambda ids=ids, lookup=lookup: bench.decode(ids, tokens, lookup=lookup), runs)
            print(
                f"decode, {name}, {'with' if lookup else 'no  '} drafts      {speed:6.1f} tok/s"
                f"   CPU {1e3 * bench.token_cpu:5.0f} ms a token"
            )


def samples(bench: Bench, runs: int) -> None:
    ids = bench.prompts.plain(LONG)[:300]
    sampling = Sampling(temperature=0.8, seed=1)
    speeds = {}
    for name, options in {
        "together": {"batched": True},
        "one by one, with drafts": {"batched": False},
        "one by one, no drafts": {"batched": False, "lookup": False},
    }.items():

        def measure(options: dict[str, Any] = options) -> float:
            return bench.decode(ids, 20, samples=8, sampling=sampling, **options)

        speeds[name] = median(measure, runs)
        cost = f"CPU {1e3 * bench.token_cpu:5.0f} ms a token"
        print(f"8 samples of 20 tokens, {name:24} {speeds[name]:6.1f} tok/s   {cost}")
    for count in (1, 2, 4, 8, 16, 24, 32):

        def growing(count: int = count) -> float:
            return bench.decode(ids, 20, samples=count, sampling=sampling, batched=count > 1, lookup=False)

        speed = median(growing, runs)
        print(
            f"{count:2} samples in one batch {speed:6.1f} tok/s   CPU {1e3 * bench.token_cpu:5.0f} ms a token"
        )
    ratio = speeds["together"] / speeds["one by one, with drafts"]
    print(f"8 samples: together / one by one with drafts   {ratio:6.2f}")


def shortlist(bench: Bench) -> None:
    """How far down the NF4 head's order the token was that the whole head puts first."""
    head = getattr(bench.loaded.model, "head", None)
    if not isinstance(head, ShortlistHead):
        return
    ids = bench.prompts.plain(LONG)[:1000]
    with torch.inference_mode():
        hidden = whole(bench.loaded.model.passing(torch.tensor([ids]), bench.loaded.model.empty_cache()))[0]
        best = torch.cat([(part.float() @ head.weight.float().T).argmax(-1) for part in hidden.split(250)])
        near = torch.cat([head.approximate(part) for part in hidden.split(20)])
    places = (near > near.gather(-1, best[:, None])).sum(-1)
    print(
        f"NF4 head, {len(ids)} places in code: best token first at {(places == 0).float().mean():.1%}, "
        f"worst place {int(places.max())} of the {SHORTLIST} that are computed exactly"
    )


def cancelling(bench: Bench) -> None:
    """The longest time between two places where a request can be stopped."""
    ids, waits, last = bench.prompts.plain(LONG)[:900], [], time.perf_counter()
    bench.fresh()
    with torch.inference_mode():
        for _ in bench.lane.generate(Task(ids, 8, lookup=False), lambda sample: True):
            waits.append(time.perf_counter() - last)
            last = time.perf_counter()
    decoding = waits[-7:]
    print(
        f"longest wait for a stop: reading 900 tokens {max(waits[:-8]):.3f} s, decoding {max(decoding):.3f} s"
    )


MEMORY = """
import sys
import psutil
from pathlib import Path
from backtrail_model.host.heap import give_back
from bench.model_host import Bench, LONG
bench = Bench(Path(sys.argv[1]))
bench.run((bench.prompts.plain(LONG) * 3)[:4088], 8)
give_back()  # as the engine does when nobody waits
print(psutil.Process().memory_info().rss)
print(sum(one.rss for one in psutil.Process().memory_maps() if Path(one.path).parent == bench.folder))
"""


def memory(folder: Path) -> None:
    """What a new process holds beside a context of 4096 tokens, and how much of it is mapped weights."""
    command = [sys.executable, "-c", MEMORY, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    resident, mapped = (int(line) / 1e6 for line in done.stdout.split()[-2:])
    weights_only = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6
    print(f"after 4096 tokens: resident {resident:.0f} MB, of which mapped weights {mapped:.0f} MB")
    print(f"  beside these {resident - mapped:.0f} MB; NF4 weights on disk {weights_only:.0f} MB")


def cold_start(model: str, runs: int, tokens: int) -> None:
    """From starting Python to the first token of a prompt of so many tokens, in new processes."""
    script = (
        "from backtrail_model import weights; from backtrail_model.host.generate import *\n"
        "from backtrail_model.host.load import load\n"
        f"l = load(weights.prepare({model!r})); ids = l.tokenizer({LONG!r})['input_ids'][:{tokens}]\n"
        "with torch.inference_mode():\n"
        "    steps = Lane(l.model, Prefixes(0), Counters()).generate(Task(ids, 1), lambda sample: True)\n"
        "    next(step for step in steps if step)\n"
    )

    def start() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", script], check=True, stderr=subprocess.DEVNULL)
        return time.perf_counter() - began

    print(f"new process to the first token of {tokens:4}      {median(start, runs):6.2f} s")


def layer_costs(bench: Bench, runs: int) -> None:
    """The two ways of a linear layer by rows: why `linear.DENSE_FROM_ROWS` is what it is."""
    layers = getattr(bench.loaded.model, "layers", None)
    if layers and isinstance(layer := layers[0].gate_up, IntegerLinear):
        byte_costs(layer, runs)
    if not layers or not isinstance(layer := layers[0].gate_up, PackedLinear):
        return
    size = f"{len(layer.packed.nibbles)}x{layer.in_features}"
    print(f"linear layer {size}, ms by rows:   packed   expanded")
    for rows in (1, 2, 4, 8, 16, 24, 32, 64, 128, 256):
        x = torch.randn(rows, layer.in_features, dtype=torch.bfloat16)
        packed = median(lambda x=x: timed(lambda: layer.multiply_packed(x)), runs * 3)
        dense = median(lambda x=x: timed(lambda: layer.multiply_dense(x)), runs * 3)
        print(f"{rows:44} {1e3 * packed:8.2f} {1e3 * dense:10.2f}")


def byte_costs(layer: IntegerLinear, runs: int) -> None:
    """One layer by our own kernel, by rows: what `drafts.BYTES` begins with."""
    print(f"linear layer {layer.out_features}x{layer.in_features}, ms by rows:   bytes")
    for rows in (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 320):
        x = torch.randn(rows, layer.in_features)
        print(f"{rows:44} {1e3 * median(lambda x=x: timed(lambda: layer(x)), runs * 5):8.2f}")


def timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    with torch.inference_mode():
        call()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="qwen2.5-coder-1.5b")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--contended", action="store_true")
    asked = parser.parse_args()
    print(describe("torch", "transformers", "bitsandbytes"))
    waiting, load_average = (
        os.environ.get("OMP_WAIT_POLICY"),
        os.getloadavg()[0] if hasattr(os, "getloadavg") else 0,
    )
    print(f"{torch.get_num_threads()} threads, OMP_WAIT_POLICY={waiting}, load before {load_average:.1f}")
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if asked.contended else None
    try:
        for tokens in (32, 320):
            cold_start(asked.model, asked.runs, tokens)
        bench = Bench(weights.prepare(asked.model))
        print(f"{asked.model}: loaded in {bench.loaded.seconds:.2f} s; {bench.loaded.form.reason}")
        first = bench.cold(bench.prompts.plain(LONG)[:320])
        print(f"first token of the first prompt after loading, 320 tokens   {first:6.2f} s")
        prefill(bench, asked.runs)
        decode(bench, asked.runs, asked.tokens)
        samples(bench, asked.runs)
        shortlist(bench)
        cancelling(bench)
        memory(bench.folder)
        layer_costs(bench, asked.runs)
    finally:
        if busy is not None:
            busy.kill()


if __name__ == "__main__":
    main()
