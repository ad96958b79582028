"""The settings as frozen data: names, types, defaults, and one sentence each. The one schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, get_type_hints

from attrs import field, fields, frozen, has

from backtrail_tracer.entries import ConfiguredEntry

SECTION = "backtrail"


def _setting(
    default: Any, doc: str, *, client_only: bool = False, machine: bool = False, least: float | None = None
) -> Any:
    """A setting with its default, its one sentence, and the least number it may be.

    A `client_only` setting widens what a program or a prompt may reach, so no repository may set it. A
    `machine` setting may stand in pyproject.toml, where the person is asked about it, but not in an
    editor's settings that lie in the repository, of which nobody would ask.
    """
    about = {"doc": doc, "client_only": client_only, "machine": machine or client_only, "least": least}
    return field(default=default, metadata=about)


@frozen
class TraceSettings:
    hits_per_line: int = _setting(10, "How many hits of a line are recorded in each test.", least=0)


@frozen
class LimitSettings:
    wall_seconds: float = _setting(10.0, "How long one run may take, in seconds.", least=0.1)
    cpu_seconds: float = _setting(20.0, "How much processor time one run may use, in seconds.", least=0.1)
    memory_mb: int = _setting(4096, "How much memory one run may use, in megabytes.", least=16)
    output_kb: int = _setting(1024, "How much one run may print, in kilobytes.", least=1)
    processes: int = _setting(32, "How many processes one run may have at once.", least=1)


@frozen
class GuardSettings:
    allow: tuple[str, ...] = _setting(
        (),
        'Side effects a run may have: "network", "subprocess", "write:PATH"; a project that asks for some is '
        "shown to you before it runs.",
        machine=True,
    )


@frozen
class InlayHintSettings:
    enabled: bool = _setting(True, "Show the last value of assigned names at the end of the line.")


@frozen
class CodeLensSettings:
    enabled: bool = _setting(True, "Show what ran, how it went and what can be done above the code.")


@frozen
class HoverSettings:
    evaluate: bool = _setting(
        True, "Ask the program that stands still at its failure for an expression that was not recorded."
    )


@frozen
class ModelSettings:
    base_url: str | None = _setting(
        None,
        "The address of an OpenAI-compatible server; null takes the model host that runs on this machine.",
    )
    token: str | None = _setting(None, "The bearer token of that server.", client_only=True)
    name: str = _setting("auto", 'Which model to ask for; "auto" takes the one the server has.')
    allow_hosts: tuple[str, ...] = _setting(
        (), "Hosts beyond this machine that source code may be sent to.", client_only=True
    )
    auto_start: bool = _setting(
        False, "Start `backtrail host` when a fix is asked for and no host runs.", client_only=True
    )


@frozen
class FixSettings:
    on_failure: Literal["auto", "on", "off"] = _setting(
        "auto",
        'Search for a fix right after a failing save; "auto" does so only when the host runs on a GPU.',
    )
    budget_seconds: float = _setting(60.0, "How long one search for a fix may take, in seconds.", least=1)
    seed: int = _setting(0, "The seed of the search: the same seed repeats it.")
    keep: bool = _setting(
        False,
        "Keep fixes that you apply, on this machine and without secrets, for `backtrail tune` to learn from.",
        client_only=True,
    )


@frozen
class Settings:
    python: str | None = _setting(
        None, "The interpreter that runs your code; null takes the workspace's .venv, VIRTUAL_ENV or python3."
    )
    on_save: Literal["trace", "off"] = _setting(
        "trace", "What a save does: run the code that fits, or nothing."
    )
    entries: tuple[ConfiguredEntry, ...] = _setting(
        (),
        "What to run for which files, before anything is found by itself: a list of "
        "{name, pytest|script|module|doctest, args, covers}.",
    )
    trace: TraceSettings = TraceSettings()
    limits: LimitSettings = LimitSettings()
    guard: GuardSettings = GuardSettings()
    sandbox: Literal["auto", "off"] = _setting(
        "auto",
        'Run your code inside bubblewrap where it works (Linux); "off" leaves only the guard and the limits.',
        client_only=True,
    )
    inlay_hints: InlayHintSettings = InlayHintSettings()
    code_lens: CodeLensSettings = CodeLensSettings()
    hover: HoverSettings = HoverSettings()
    model: ModelSettings = ModelSettings()
    fix: FixSettings = FixSettings()


@frozen
class Leaf:
    """One setting: where it is (snake_case parts), its type, default and metadata."""

    parts: tuple[str, ...]
    kind: Any
    default: Any
    doc: str
    client_only: bool
    machine: bool
    least: float | None

    @property
    def client_name(self) -> str:
        return ".".join(_camel(part) for part in self.parts)

    @property
    def project_name(self) -> str:
        return ".".join(self.parts)


@cache
def leaves() -> tuple[Leaf, ...]:
    """Every setting of the schema, in its order."""
    return tuple(_walk(Settings, ()))


def _walk(cls: type, parts: tuple[str, ...]) -> Iterator[Leaf]:
    kinds = get_type_hints(cls)
    for attribute in fields(cls):
        here, kind = (*parts, attribute.name), kinds[attribute.name]
        if isinstance(kind, type) and has(kind):
            yield from _walk(kind, here)
        else:
            about = attribute.metadata
            where = about["client_only"], about["machine"]
            yield Leaf(here, kind, attribute.default, about["doc"], *where, about["least"])


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)
