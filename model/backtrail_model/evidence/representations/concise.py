"""`concise`: line after line with what it changed only, after the study's Concise trace (arXiv 2509.11686).

Each line stands between `[L7]` and `[/L7]`; arguments are an `[INPUT]`, a result or exception an `[OUTPUT]`.
"""

from __future__ import annotations

from collections.abc import Mapping

from backtrail_model.evidence.facts import DULL_TYPES
from backtrail_model.evidence.material import Material, Rendering
from backtrail_model.evidence.representations import stream


def render(material: Material) -> Rendering:
    return stream.render(material, _write)


def _write(moment: stream.Moment) -> str:
    parts = [_input(moment)] if moment.first else []
    parts.append(_bracketed(moment.label, _pairs(moment.changed)))
    if moment.output is not None:
        parts.append(_bracketed(moment.label, f"[OUTPUT] {moment.output} [/OUTPUT]"))
    return "\n".join(parts)


def _input(moment: stream.Moment) -> str:
    given = {name: v.text for name, v in moment.frame.arguments.items() if v.type not in DULL_TYPES}
    place = f"{moment.label.rpartition('L')[0]}L{moment.frame.code.first_line}"
    return _bracketed(place, f"[INPUT] {_pairs(given)} [/INPUT]")


def _bracketed(place: str, text: str) -> str:
    return f"[{place}] {text} [/{place}]" if text else f"[{place}] [/{place}]"


def _pairs(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={text}" for name, text in values.items())
