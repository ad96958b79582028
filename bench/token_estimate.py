"""How near the estimate of tokens is to what a tokenizer counts, over prompts of real failures.

    python -m bench.token_estimate DATA.jsonl [...] [-n 20] [--model qwen2.5-coder-1.5b]

No model runs. For the first so many items of each file, with their visible tests: the code that a prompt
shows, the facts, and the whole instruction. The weights of the model have to be there (`backtrail models
fetch`), for their tokenizer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from tokenizers import Tokenizer

from backtrail_model import weights
from backtrail_model.client import ModelClient
from backtrail_model.evidence.tokens import estimate
from backtrail_model.repair.context import RepairContext, prepare
from backtrail_model.repair.proposers.instruct import Instruct, as_text
from backtrail_model.study.machine import describe
from bench.slices import Item, traced


async def main(options: argparse.Namespace) -> int:
    tokenizer = Tokenizer.from_file(str(weights.prepare(options.model) / "tokenizer.json"))
    print(describe("backtrail", "tokenizers"))
    ratios: dict[str, list[float]] = {}
    for row in _rows(options):
        for part, text in (await _texts(row)).items():
            counted = len(tokenizer.encode(text).ids)
            ratios.setdefault(part, []).append(estimate(text) / max(1, counted))
    print("| estimated / counted | texts | least | mean | most |\n|---|---|---|---|---|")
    for part, found in ratios.items():
        print(f"| {part} | {len(found)} | {min(found):.2f} | {mean(found):.2f} | {max(found):.2f} |")
    return 0


def _rows(options: argparse.Namespace) -> Iterator[Mapping[str, Any]]:
    for path in options.data:
        lines = path.read_text(encoding="utf-8").splitlines()
        yield from map(json.loads, lines[: options.items])


async def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    """Of an item whose failure is reproduced: part of a prompt -> its text."""
    try:
        item = Item.of(row)
    except SyntaxError:
        return {}
    found = await traced(item)
    if isinstance(found, str) or not found[0].failures:
        return {}
    trace = found[0]
    context = prepare(trace, trace.failures[0], lambda path: trace.sources.get(path, ""))
    if not context.evidence.code:
        return {}
    return {
        "code": context.evidence.code,
        "facts": context.evidence.to_text(),
        "instruction": await _instruction(context),
    }


async def _instruction(context: RepairContext) -> str:
    async with ModelClient("http://127.0.0.1:9", "") as client:  # nothing is sent
        return as_text(Instruct(client).messages(context, context.evidence) or ())


def options_of(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.token_estimate")
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("-n", "--items", type=int, default=20)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(options_of(sys.argv[1:]))))
