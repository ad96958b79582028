"""What may stand in a record, checked: the user's process wrote it, so it can be anything at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from backtrail_tracer.trace import Value

NOTHING: Mapping[str, Value] = {}


class Malformed(ValueError):
    """A record that does not have the shape that `wire.py` gives it."""


def int_of(thing: Any) -> int:
    if type(thing) is not int:
        raise Malformed(f"not a whole number: {thing!r:.40}")
    return thing


def number_of(thing: Any) -> float:
    if type(thing) not in (int, float):
        raise Malformed(f"not a number: {thing!r:.40}")
    return float(thing)


def text_of(thing: Any) -> str:
    """A string that can be sent anywhere: a lone surrogate would break the next encoder."""
    if type(thing) is not str:
        raise Malformed(f"not a text: {thing!r:.40}")
    return thing if thing.isascii() else thing.encode("utf-8", "replace").decode("utf-8")


def table_of(thing: Any) -> dict[str, Any]:
    if type(thing) is not dict:
        raise Malformed(f"not a table: {thing!r:.40}")
    return thing


def optional_int(thing: Any) -> int | None:
    return None if thing is None else int_of(thing)


@define
class Values:
    """Makes values of what a record holds; plain ones are made once, since the same come again and again."""

    _known: dict[tuple[str, str], Value] = field(factory=dict)

    def value(self, thing: Any) -> Value:
        if len(thing) == 2:
            key = (thing[0], thing[1])
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = Value(text_of(thing[0]), text_of(thing[1]))
            return known
        return self._rich_value(thing)

    def _rich_value(self, thing: Any) -> Value:
        kind, text, more = thing
        shape = more.get("shape")
        return Value(
            text_of(kind),
            text_of(text),
            optional_int(more.get("id")),
            optional_int(more.get("len")),
            None if shape is None else text_of(shape if isinstance(shape, str) else str(shape)),
            bool(more.get("cut")),
            bool(more.get("redacted")),
        )

    def named(self, thing: Any) -> Mapping[str, Value]:
        return (
            {text_of(name): self.value(value) for name, value in table_of(thing).items()}
            if thing
            else NOTHING
        )
