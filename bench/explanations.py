"""Explanations by a model: how many cite facts, and how many claims the trace does not bear out.

    python -m bench.explanations [--url URL --token TOKEN] [--texts]

Eight invented failures (`workloads/failures.py`) are traced and explained, greedily. Each sentence is one of
four: it is *cited* when it names the id of a fact that exists, *checked* when a value or an outcome that it
tells is the recorded one, a *guess* when nothing in it could be checked, and *dropped* when the trace
contradicts it. A person sees the first two as they are, the third called the model's guess, the fourth never.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import textwrap
import time
from collections import Counter
from pathlib import Path

from attrs import frozen

from backtrail_model import explain
from backtrail_model.client import ModelClient, NoHost, connect
from backtrail_model.evidence import Evidence, gather
from backtrail_model.study.machine import describe
from backtrail_model.study.sentences import STANDINGS
from backtrail_tracer.entries import NoEntry, discover
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.session import Session
from bench.workloads.failures import FAILURES


@frozen
class Told:
    name: str
    text: str
    checked: explain.Checked
    seconds: float


async def evidence_of(source: str, assertion: str) -> Evidence:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "shop.py").write_text(textwrap.dedent(source).lstrip(), encoding="utf-8")
        test = f"from shop import *\n\n\ndef test_it():\n    assert {assertion}\n"
        (folder / "test_shop.py").write_text(test, encoding="utf-8")
        session = Session(Interpreter(Path(sys.executable), "this one"), folder)
        entries = discover(folder / "shop.py", folder)
        if isinstance(entries, NoEntry):
            raise RuntimeError(entries.reason)
        trace = (await session.run(entries[0])).trace
        return gather(trace, trace.failures[0], lambda path: trace.sources.get(path, ""))


async def told(client: ModelClient, name: str) -> Told:
    evidence = await evidence_of(*FAILURES[name])
    began = time.monotonic()
    text = "".join([piece async for piece in explain.explain(client, evidence)])
    return Told(name, text, explain.check(text, evidence), time.monotonic() - began)


def counts(checked: explain.Checked) -> Counter[str]:
    """The number of sentences by how they stand."""
    standings = Counter[str](claim.standing for claim in checked.claims)
    return standings + Counter(dropped=len(checked.dropped))


def row(name: str, standings: Counter[str], seconds: float) -> str:
    cells = " | ".join(str(standings[standing]) for standing in STANDINGS)
    return f"| {name} | {standings.total()} | {cells} | {seconds:.1f} |"


async def main(options: argparse.Namespace) -> int:
    client = connect(options.url, options.token)
    if isinstance(client, NoHost):
        print(f"{client.reason}; {client.advice}")
        return 1
    print(describe("torch", "transformers", "bitsandbytes"), "\n")
    print(f"| failure | sentences | {' | '.join(STANDINGS)} | seconds |\n|{'---|' * 7}")
    rows = []
    async with client:
        for name in FAILURES:
            one = await told(client, name)
            rows.append(one)
            print(row(name, counts(one.checked), one.seconds), flush=True)
            if options.texts:
                print(textwrap.indent(one.text, "    "))
                print("\n".join(f"    dropped: {reason}" for reason in one.checked.dropped))
    print(row("all", sum((counts(one.checked) for one in rows), Counter()), sum(one.seconds for one in rows)))
    citing = sum(bool(one.checked.cited) for one in rows)
    print(f"\n{citing} of {len(rows)} explanations cite a fact that exists.")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url")
    parser.add_argument("--token")
    parser.add_argument("--texts", action="store_true", help="also print what the model said")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(arguments())))
