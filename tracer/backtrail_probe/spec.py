"""Reads a run specification on the probe's side: the same fields as `wire.RunSpec`, without dataclasses."""

from __future__ import annotations

import json

from .constants import VERSION

TYPE_CHECKING = False  # the module `typing` itself is not needed to run
if TYPE_CHECKING:
    from typing import Any, Dict

    from .wire import RunSpec


class _Fields:
    """Attributes as they stand in the JSON; `RunSpec.to_json` writes all of them."""

    def __init__(self, values: "Dict[str, Any]") -> None:
        self.__dict__.update(values)


def read_spec(text: str) -> "RunSpec":
    """Raises ValueError for a specification of another version."""
    data = json.loads(text)
    if data.get("version") != VERSION:
        raise ValueError("run specification of version %r, need %r" % (data.get("version"), VERSION))
    for name in ("record_limits", "process_limits", "postmortem"):
        if data.get(name) is not None:
            data[name] = _Fields(data[name])
    spec: Any = _Fields(data)
    return spec  # type: ignore[no-any-return]
