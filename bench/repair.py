"""What the repair search reaches on a data set, with one greedy answer of the same model beside it.

    python -m bench.repair DATA.jsonl [--sample N] [--seed S] [--budget SECONDS] [--out DIR] [--for SECONDS]

It is a study of two conditions (`backtrail study`), so the items, the replay, the verifier, the hidden judge
and the records are the study's: `--out DIR` keeps them, and the same command goes on where it stopped.
`--for SECONDS` stops a long run by itself. The items come in a random order that the seed fixes, so what was
done until then is a random sample of the data.

The greedy answer sees the program and the failing call with expected and actual (the representation `fact`),
which is what people paste into a chat. Both are judged by the hidden tests. An item whose failure cannot be
reproduced, or that its visible tests do not catch, is not repaired by anyone; it is counted as unusable.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from statistics import median

from backtrail_model.evidence import DEFAULT
from backtrail_model.study.conditions import NO_MODEL, NO_TRACE, Condition, Scaling
from backtrail_model.study.machine import describe
from backtrail_model.study.records import Cell, Records
from backtrail_model.study.replay import interpreter
from backtrail_model.study.stats import Paired, mcnemar, newcombe, wilson
from backtrail_model.study.study import Plan, Progress, Study
from backtrail_server.terminal.model_hosts import Serving, labels
from backtrail_server.terminal.study import Asked, items_of, manifest_of

ONE_SHOT = "fact"


def main(options: argparse.Namespace) -> int:
    asked = asked_of(options)
    plan = planned(asked)
    print(describe("backtrail", "torch", "transformers", "bitsandbytes"))
    print(f"{', '.join(path.name for path in asked.data)}: {len(plan.items)} items, seed {plan.seed}\n")
    with Records.open(asked.out, manifest_of(asked), resume=True) as records:
        ended = asyncio.run(_run(asked, plan, records, options.seconds))
    mine = [cell for cell in records.cells.values() if cell.item in {item.id for item in plan.items}]
    print("\n".join(table(mine, plan, records)))
    if not ended:
        print("\nStopped: run the same command again to go on.")
    return 0


def asked_of(options: argparse.Namespace) -> Asked:
    return Asked(
        data=tuple(path.resolve() for path in options.data),
        models=(options.model,),
        representations=(ONE_SHOT,),
        scaling=("greedy",),
        controls=(),
        out=options.out,
        sample=options.sample,
        seed=options.seed,
        budget_s=options.budget,
        token=options.token,
    )


def planned(asked: Asked) -> Plan:
    """The one-shot answer first: it is cheap. Without a model there is only the search.

    The items come in a random order that hangs on the seed alone: what a run that is stopped has done is
    a random sample of them.
    """
    model = next(iter(labels(asked.models)))
    conditions = [Condition(model, DEFAULT, Scaling("search"))]
    if model == NO_MODEL:
        conditions = [Condition(model, NO_TRACE, Scaling("search"))]
    else:
        conditions.insert(0, Condition(model, ONE_SHOT, Scaling("greedy")))
    items = list(items_of(asked))
    Random(asked.seed).shuffle(items)
    return Plan(tuple(items), tuple(conditions), asked.seed, asked.budget_s)


async def _run(asked: Asked, plan: Plan, records: Records, seconds: float | None) -> bool:
    """Whether everything is done."""
    began, last = time.monotonic(), ""

    def report(news: Progress) -> None:
        nonlocal last
        if news.words != last:
            last = news.words
            print(f"{time.monotonic() - began:7.0f} s  {news.done}/{news.total}  {last}", file=sys.stderr)

    serving = Serving(labels(asked.models), lambda words: print(words, file=sys.stderr), asked.token)
    study = Study(plan, records, serving, interpreter(), report)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await study.run()
    return study.left() == 0


def table(cells: Sequence[Cell], plan: Plan, records: Records) -> Iterator[str]:
    """The reach table, over the items that every condition was tried on."""
    tried = [{cell.item for cell in cells if _is(cell, condition)} for condition in plan.conditions]
    items = set.intersection(*tried)
    search = {cell.item: cell for cell in cells if cell.scaling == "search" and cell.item in items}
    greedy = {cell.item: cell for cell in cells if cell.scaling == "greedy" and cell.item in items}
    offers = [cell for cell in search.values() if cell.verified]
    firsts = [cell.first_s for cell in offers if cell.first_s is not None]
    unusable = sum(item.id in records.unusable for item in plan.items)
    yield f"| budget {plan.budget_s:g} s an item | |"
    yield "|---|---|"
    yield f"| items with a failure to repair | {len(items)} ({unusable} more are unusable) |"
    yield f"| offered as verified, and the hidden tests pass | {_share(search)} |"
    if greedy:
        yield f"| one greedy answer (`{ONE_SHOT}`), and the hidden tests pass | {_share(greedy)} |"
        yield f"| difference | {_difference(search, greedy)} |"
    wrong = sum(not cell.right for cell in offers)
    best = [cell for cell in offers if cell.preferred]
    yield f"| offered as verified, but the hidden tests fail | {_of(wrong, len(offers))} of offers |"
    wrong_best = sum(not cell.right for cell in best)
    yield f"| the same among offers without a warning | {_of(wrong_best, len(best))} |"
    yield f"| median time to the first verified fix | {f'{median(firsts):.1f} s' if firsts else '–'} |"
    seconds = [cell.seconds for cell in search.values()]
    yield f"| median time of a search | {f'{median(seconds):.1f} s' if seconds else '–'} |"


def _is(cell: Cell, condition: Condition) -> bool:
    return (cell.model, cell.representation, cell.scaling, cell.control) == condition.key


def _share(cells: dict[str, Cell]) -> str:
    right = sum(cell.right for cell in cells.values())
    low, high = wilson(right, len(cells))
    return f"{_of(right, len(cells))} (95 %: {100 * low:.1f} to {100 * high:.1f})"


def _difference(search: dict[str, Cell], greedy: dict[str, Cell]) -> str:
    pair = Paired.of((search[item].right, greedy[item].right) for item in search)
    low, high = newcombe(pair)
    points = f"{100 * pair.difference:+.1f} points (95 %: {100 * low:+.1f} to {100 * high:+.1f})"
    return f"{points}, {pair.first} only by search, {pair.second} only by one answer, p = {mcnemar(pair):.2g}"


def _of(part: int, whole: int) -> str:
    return f"{part}/{whole}" + (f" = {100 * part / whole:.1f} %" if whole else "")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument(
        "--model", default="qwen2.5-coder-1.5b", help='as for `backtrail study`; "none": without'
    )
    parser.add_argument("--sample", type=int, metavar="N", help="N items at random (all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=float, default=60.0, metavar="SECONDS", help="of one search (60)")
    parser.add_argument("--out", type=Path, default=Path("build/repair"), help="the records (build/repair)")
    parser.add_argument(
        "--for", dest="seconds", type=float, metavar="SECONDS", help="then stop, to go on later"
    )
    parser.add_argument("--token", default="", help="of a server that runs already")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(arguments()))
