"""`backtrail why FILE:LINE[:NAME]`: a traced run, and where the value at that place came from. No model."""

from __future__ import annotations

import asyncio
import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen
from rich.console import Console
from rich.table import Table
from rich.text import Text

from backtrail_server.results import same_file
from backtrail_server.terminal import show
from backtrail_server.terminal.trace import complain, locate, traced
from backtrail_tracer.trace import Trace

if TYPE_CHECKING:
    from backtrail_model.evidence.why import Chain, Link

VERSION = 1


@frozen
class Target:
    """A line (from 1) of a file, and an expression there, or "" for all that the line reads."""

    path: Path
    line: int
    expression: str

    @classmethod
    def of(cls, text: str) -> Target:
        """Reads FILE:LINE[:NAME]. Raises ValueError; a drive letter before the file is part of it."""
        drive, rest = (text[:2], text[2:]) if text[1:3] in (":\\", ":/") else ("", text)
        name, _, more = rest.partition(":")
        line, _, expression = more.partition(":")
        if not name or not line.isdecimal() or int(line) < 1:
            raise ValueError(
                f"{text!r} is no place: write FILE:LINE or FILE:LINE:NAME, like shop.py:12:total"
            )
        return cls(Path(drive + name), int(line), expression.strip())


def run(place: str, *, entry: Path | None, python: str | None, json: bool) -> int:
    """0: the chain was shown; 1: nothing was recorded there; 2: nothing could be run, or no such place."""
    console = Console(stderr=json)
    try:
        target = Target.of(place)
    except ValueError as error:
        complain(console, error)
        return 2
    found = locate(entry or target.path, python, console)
    ran = asyncio.run(traced(found, console)) if found else None
    if found is None or ran is None:
        return 2
    chain = chain_of(ran.trace, target)
    if chain is None:
        named = f" of {target.expression}" if target.expression else ""
        console.print(
            f"Nothing was recorded{named} at {place} that could tell.", style="yellow", markup=False
        )
        return 1
    if json:
        print(json_format.dumps(document(chain), indent=1))
    else:
        tell(console, chain, found.root)
    return 0


def chain_of(trace: Trace, target: Target) -> Chain | None:
    from backtrail_model.evidence.why import why

    path = next((one for one in trace.files if same_file(one, target.path.resolve())), None)
    if path is None:
        return None
    return why(trace, lambda one: trace.sources.get(one, ""), path, target.line, target.expression)


def tell(console: Console, chain: Chain, root: Path) -> None:
    console.print(chain.title, style="bold", markup=False, highlight=False)
    table = Table.grid(padding=(0, 2))
    for number, link in enumerate(chain.links, 1):
        table.add_row(Text(str(number), "dim"), Text(_where(link, root), "cyan"), _told(link))
    console.print(table)
    if chain.left_out:
        console.print(f"{chain.left_out} more recorded hits have to do with it", style="dim")
    for limit in chain.limits:
        console.print(f"not known: {limit}", style="dim", markup=False)


def _where(link: Link, root: Path) -> str:
    return f"{show.relative(link.fact.path, root)}:{link.fact.line}"


def _told(link: Link) -> Text:
    fact = link.fact
    text = Text.assemble((fact.source, "bold"))
    if fact.effect not in ("", fact.source):
        text.append(f"  → {fact.effect}", "green")
    if fact.reads:
        text.append("  with " + ", ".join(f"{name} = {value}" for name, value in fact.reads.items()))
    doubt = ", uncertain" if fact.uncertain else ""
    return text.append(f"  ({link.because}{doubt})", "dim")


def document(chain: Chain) -> dict[str, Any]:
    """The JSON form, versioned as the others are."""
    return {
        "version": VERSION,
        "expression": chain.expression,
        "path": str(chain.path),
        "line": chain.line,
        "value": chain.value,
        "links": [
            {
                "id": link.fact.id,
                "path": str(link.fact.path),
                "line": link.fact.line,
                "source": link.fact.source,
                "reads": dict(link.fact.reads),
                "effect": link.fact.effect,
                "because": link.because,
                "uncertain": link.fact.uncertain,
            }
            for link in chain.links
        ],
        "left_out": chain.left_out,
        "limits": list(chain.limits),
    }
