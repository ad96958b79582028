"""How many developers a model server holds: a day of saves, its busiest minutes in real time.

    python -m bench.load [--url http://…/v1 --token …] [--developers 4] [--minutes 5] [PROJECT …]

First it records the requests that one real search makes of the server, for each PROJECT (a folder with
a failing test; examples/readings unless told). Then it plays them for 1, 2, 4, … developers, finds the
largest number for whom the first fix comes within 30 s in 95 of 100 searches, and prints what follows for
other servers. `--developers` plays that number only, 0 none. Without `--url` it asks the host on this
machine.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from backtrail_model import hostfile
from backtrail_model.client import HostError
from backtrail_model.study.machine import describe
from bench.developers import Habits, Load, Target, busiest, day, percentile, play
from bench.recording import Recording, record

EXAMPLE = Path(__file__).parents[1] / "examples" / "readings"
REACH_S = 30.0
MOST = 256
BUSY = 0.6
"""The share of its speed that a server is planned for: near 1.0 every request waits for others."""
SPEEDS = (50, 200, 1_000, 3_000, 10_000, 30_000)
"""Tokens a second that servers write, all answers together: from a small CPU to several GPUs."""


@frozen
class Plan:
    target: Target
    recordings: tuple[Recording, ...]
    habits: Habits
    minutes: float
    seed: int


async def once(plan: Plan, developers: int) -> Load:
    """The busiest minutes of a day of so many developers."""
    saves = busiest(day(developers, plan.habits, plan.seed), plan.minutes)
    began = time.monotonic()
    searches = await play(saves, plan.recordings, plan.target, plan.seed)
    return Load(developers, searches, time.monotonic() - began)


def row(load: Load) -> str:
    refused = sum(one.refused for one in load.searches)
    never = sum(math.isinf(one) for one in load.firsts)
    ended = sum(one.superseded for one in load.searches)
    cells = [
        str(load.developers),
        f"{len(load.searches)} ({ended})",
        *_percentiles(load.to_first_token),
        *_percentiles(load.requests),
        *_percentiles(load.firsts),
        str(never),
        str(refused),
        f"{sum(one.prompt_tokens for one in load.exchanges) / load.seconds:.0f}",
        f"{sum(one.output_tokens for one in load.exchanges) / load.seconds:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


HEAD = """\
| developers | searches (ended by a newer save) | first token p50 | p95 | request p50 | p95 | first fix p50 \
| p95 | no fix in time | refused | tokens read/s | written/s |
|---|---|---|---|---|---|---|---|---|---|---|---|"""


def _percentiles(values: Sequence[float]) -> tuple[str, str]:
    def words(value: float) -> str:
        return "–" if math.isnan(value) else "never" if math.isinf(value) else f"{value:.1f} s"

    return words(percentile(values, 0.5)), words(percentile(values, 0.95))


def holds(load: Load) -> bool:
    return percentile(load.firsts, 0.95) < REACH_S


async def largest(plan: Plan) -> int:
    """Doubles while it holds, then halves the gap; prints a row for each number that was played."""
    good, bad, number = 0, MOST + 1, 1
    while number < bad:
        load = await once(plan, number)
        print(row(load), flush=True)
        _complain(load)
        good, bad = (number, bad) if holds(load) else (good, number)
        number = good * 2 if bad > MOST else (good + bad) // 2
        if number in (good, 0):
            break
    return good


def _complain(load: Load) -> None:
    for words, count in load.failures.items():
        print(f"{count} searches broke off: {words}", file=sys.stderr)


def describe_recording(one: Recording) -> str:
    read, written = one.tokens()
    lines = [f"recorded: {len(one.requests)} requests of one search on {one.project}, model {one.model}"]
    lines.append(f"  the whole search: {read} tokens read, {written} written")
    if one.first is None:
        lines.append("  no fix was found; the end of the last request stands for it")
    else:
        read, written = one.tokens(to_first=True)
        lines.append(f"  the first fix: request {one.first + 1}, {read} tokens read, {written} written,")
        lines.append(f"  {one.first_s:.1f} s after the start of the search ({one.title})")
    return "\n".join(lines)


def sizing(recordings: Sequence[Recording], habits: Habits) -> str:
    """Arithmetic, not measurement: who can be served at a given speed, by the tokens of a search."""
    read = sum(one.tokens()[0] for one in recordings) / len(recordings)
    written = sum(one.tokens()[1] for one in recordings) / len(recordings)
    lines = [
        f"A search reads {read:.0f} tokens and writes {written:.0f}. A developer starts",
        f"{habits.a_day:.0f} a day, {habits.a_second * 3600:.1f} in the busiest hour.",
        f"At {BUSY:.0%} of its speed, a server that writes",
        "",
        "| tokens a second, all answers together | holds developers | and must read tokens a second |",
        "|---|---|---|",
    ]
    for speed in SPEEDS:
        searches = BUSY * speed / written
        lines.append(f"| {speed:,} | {searches / habits.a_second:,.0f} | {searches * read:,.0f} |")
    return "\n".join(lines)


async def run(options: argparse.Namespace) -> int:
    target = target_of(options)
    if target is None:
        print("no model host is running on this machine; start it with: backtrail host, or give --url")
        return 2
    try:
        recordings = await recorded(options, target)
    except (HostError, ValueError) as error:
        print(f"nothing could be recorded: {error}. {getattr(error, 'advice', '')}".rstrip(". ") + ".")
        return 1
    habits = Habits(options.saves, options.failing)
    plan = Plan(target, recordings, habits, options.minutes, options.seed)
    print("\n".join(describe_recording(one) for one in recordings))
    print(f"\n{sizing(recordings, habits)}\n")
    if options.developers == 0:
        return 0
    print(f"The busiest {options.minutes:g} minutes of a day, played:\n\n{HEAD}")
    if options.developers:
        load = await once(plan, options.developers)
        print(row(load))
        _complain(load)
    else:
        found = await largest(plan)
        print(f"\nThe largest number with a first fix within {REACH_S:.0f} s at p95: {found}")
    return 0


async def recorded(options: argparse.Namespace, target: Target) -> tuple[Recording, ...]:
    if options.requests:
        return tuple(Recording.from_json(path.read_text(encoding="utf-8")) for path in options.requests)
    found = []
    for number, project in enumerate(options.projects or [EXAMPLE]):
        one = await record(project, target.base_url, target.token, target.allowed, options.model)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{number}-{one.project}.json").write_text(one.to_json(), encoding="utf-8")
        found.append(one)
    return tuple(found)


def target_of(options: argparse.Namespace) -> Target | None:
    if options.url:
        return Target(options.url, options.token, tuple(options.allow))
    running = hostfile.read()
    return Target(running["url"], running["token"]) if running else None


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("projects", nargs="*", type=Path, metavar="PROJECT")
    parser.add_argument("--url", help="base address of an OpenAI-compatible server")
    parser.add_argument("--token", default="")
    parser.add_argument("--model", help="the name to ask for; the server's first unless told")
    parser.add_argument("--allow", action="append", default=[], help="a host that prompts may go to")
    parser.add_argument("--developers", type=int, help="play this number only; 0: record only")
    parser.add_argument("--minutes", type=float, default=5.0, help="of the day, played in real time")
    parser.add_argument("--saves", type=float, default=Habits().saves, help="of a developer a day")
    parser.add_argument("--failing", type=float, default=Habits().failing, help="share of saves that fail")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="write what was recorded into this folder")
    parser.add_argument("--requests", type=Path, nargs="+", help="play these instead of recording anew")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    print(f"{describe('torch', 'transformers', 'bitsandbytes')}\n")
    return asyncio.run(run(arguments(words)))


if __name__ == "__main__":
    sys.exit(main())
