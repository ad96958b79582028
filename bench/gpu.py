"""Decode on a GPU: tokens a second beside the bound that the memory's bandwidth sets, NF4 and bfloat16,
with passes started kernel by kernel and replayed as one launch (`host/captured.py`).

    python -m bench.gpu [--size 1.5b|7b] [--context N]

The sizes are those of Qwen2.5-Coder; the weights are random, since speed does not depend on their values
(drafts and stop tokens, which do, are off). A decode step reads every weight and the keys and values once, so
no step can be quicker than those bytes by the bandwidth, which is measured by a copy on the same device.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from backtrail_model.host.architecture import Architecture, parse
from backtrail_model.host.captured import Captured, cuda_graphs
from backtrail_model.host.decoder import Decoder
from backtrail_model.host.head import FullHead
from backtrail_model.host.linear import DenseLinear, Nf4Weight, nf4_linear
from backtrail_model.host.passing import whole
from backtrail_model.study.machine import describe

COMMON = {
    "model_type": "qwen2",
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "max_position_embeddings": 32768,
}
SIZES: dict[str, dict[str, Any]] = {
    "1.5b": {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
    },
    "7b": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
    },
}


class Random:
    """A decoder of a real size with random weights; `bytes` are those that one step reads."""

    def __init__(self, sizes: dict[str, Any], *, nf4: bool, device: str = "cuda") -> None:
        known = parse(COMMON | sizes)
        assert isinstance(known, Architecture), known
        self.known, self.sizes, self.nf4, self.device = known, sizes, nf4, device
        self.bytes = 0
        head = self._dense(sizes["vocab_size"], known.hidden)
        self.bytes += head.nbytes
        norms = {f"model.layers.{n}.{name}": self._ones() for n in range(known.layers) for name in NORMS}
        tensors = {"model.embed_tokens.weight": head, "model.norm.weight": self._ones(), **norms}
        self.decoder = Decoder(known, tensors, self._linear, FullHead(head))

    def _ones(self) -> torch.Tensor:
        return torch.ones(self.known.hidden, dtype=torch.bfloat16, device=self.device)

    def _dense(self, rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, dtype=torch.bfloat16, device=self.device) * 0.02

    def _shape(self, name: str) -> tuple[int, int]:
        known, wide = self.known, self.sizes["intermediate_size"]
        queries, keys = known.heads * known.head_size, known.kv_heads * known.head_size
        return {
            "q_proj": (queries, known.hidden),
            "k_proj": (keys, known.hidden),
            "v_proj": (keys, known.hidden),
            "o_proj": (known.hidden, queries),
            "gate_proj": (wide, known.hidden),
            "up_proj": (wide, known.hidden),
            "down_proj": (known.hidden, wide),
        }[name.rpartition(".")[2]]

    def _linear(self, names: Sequence[str]) -> torch.nn.Module:
        shapes = [self._shape(name) for name in names]
        if not self.nf4:
            weights = [self._dense(*shape) for shape in shapes]
            self.bytes += sum(weight.nbytes for weight in weights)
            return DenseLinear(weights)
        packed = [self._packed(*shape) for shape in shapes]
        self.bytes += sum(weight.nbytes for weight in packed)
        return nf4_linear(packed, None, torch.bfloat16, keep=True)

    def _packed(self, rows: int, columns: int) -> Nf4Weight:
        from bitsandbytes.functional import get_4bit_type

        count = rows * columns
        nibbles = torch.randint(0, 256, (count // 2,), dtype=torch.uint8, device=self.device)
        scales = torch.full((count // 64,), 0.05, device=self.device)
        return Nf4Weight(nibbles, scales, get_4bit_type("nf4", device=self.device), rows, columns)

    def speed(
        self, model: Decoder | Captured, rows: int, context: int, steps: int = 32
    ) -> tuple[float, float]:
        """Tokens a second of `rows` samples after a prompt of `context` tokens, and the bound on them.

        `model` is this decoder or what replays it.
        """
        prompt = torch.randint(0, 1000, (1, context))
        with torch.inference_mode():
            cache = model.empty_cache()
            whole(model.passing(prompt, cache))
            cache = cache.select([0] * rows)
            kept = cache.nbytes
            tokens = torch.zeros(rows, 1, dtype=torch.long, device=self.device)

            def step() -> None:
                model.logits(whole(model.passing(tokens, cache))[:, -1]).argmax(-1)

            seconds = median(step, steps, self.device)
        return rows / seconds, rows * bandwidth(self.device) / (self.bytes + kept)


NORMS = ("input_layernorm.weight", "post_attention_layernorm.weight")


def median(call: Callable[[], object], times: int, device: str) -> float:
    """Seconds of a call, the device's work included; the first calls are not counted."""
    taken = []
    for turn in range(times + 3):
        wait(device)
        started = time.perf_counter()
        call()
        wait(device)
        if turn >= 3:
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def bandwidth(device: str, size: int = 1 << 30) -> float:
    """Bytes a second that the device's memory moves: a copy reads and writes each byte."""
    source, target = (torch.empty(size, dtype=torch.uint8, device=device) for _ in range(2))
    return 2 * size / median(lambda: target.copy_(source), 10, device)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=sorted(SIZES), default="7b")
    parser.add_argument("--context", type=int, default=1024)
    asked = parser.parse_args()
    print(describe("torch", "bitsandbytes"))
    if not torch.cuda.is_available():
        print("no CUDA device here: nothing is measured")
        return
    speed = bandwidth("cuda") / 1e9
    print(f"{torch.cuda.get_device_name()}, copy {speed:.0f} GB/s; {asked.size}, random weights")
    print("\n| form | started | samples | tok/s | bound | achieved |\n|---|---|---|---|---|---|")
    for nf4 in (True, False):
        random = Random(SIZES[asked.size], nf4=nf4)
        captured = Captured(random.decoder, cuda_graphs())
        for rows in (1, 8):
            for how, model in (("kernel by kernel", random.decoder), ("as one launch", captured)):
                got, bound = random.speed(model, rows, asked.context)
                form = "NF4" if nf4 else "bfloat16"
                print(f"| {form} | {how} | {rows} | {got:.1f} | {bound:.0f} | {got / bound:.0%} |")
        if captured.refused:
            print(f"\nnot replayed: {captured.refused}\n")
        del random, captured, model
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
