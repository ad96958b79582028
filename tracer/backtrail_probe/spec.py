"""Reads a run specification on the probe's side: the same fields as `wire.RunSpec`, without dataclasses."""

from __future__ import annotations

from .constants import VERSION

TYPE_CHECKING = False  # the module `typing` itself is not needed to run
if TYPE_CHECKING:
    from typing import Any, Dict

    from .wire import RunSpec


class _Fields:
    """Attributes as they stand in the JSON; `RunSpec.to_json` writes all of them."""

    def __init__(self, values: "Dict[str, Any]") -> None:
        self.__dict__.update(values)


class _Strict:
    """What the interpreter's own scanner wants to know. The module `json` around it imports `re`, which takes
    as long as all of the probe."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float

    def __init__(self) -> None:
        self.memo: "Dict[str, str]" = {}


def _scan(text: str) -> "Any":
    """Raises ValueError for what is no JSON."""
    try:
        from _json import make_scanner
    except ImportError:
        from json import loads

        return loads(text)
    try:
        make: Any = make_scanner
        return make(_Strict())(text, 0)[0]
    except StopIteration:
        raise ValueError("the run specification is no JSON") from None


SHARE = 8
"""A child process may have this part of the events and bytes that the program itself may have."""


def spec_of_child(spec: "RunSpec", cwd: str, record: bool) -> "RunSpec":
    """The same for a child process of the run, which does not stand still at its failures."""
    limits = vars(spec.record_limits)
    if not spec.child:
        parts = {name: -(-limits[name] // SHARE) for name in ("events", "log_bytes")}
        limits = {**limits, **parts}
    own = {"cwd": cwd, "record": record, "record_limits": _Fields(limits), "postmortem": None, "child": True}
    child: Any = _Fields({**vars(spec), **own})
    return child  # type: ignore[no-any-return]


def read_spec(text: str) -> "RunSpec":
    """Raises ValueError for a specification of another version."""
    data = _scan(text)
    if data.get("version") != VERSION:
        raise ValueError("run specification of version %r, need %r" % (data.get("version"), VERSION))
    for name in ("record_limits", "process_limits", "postmortem"):
        if data.get(name) is not None:
            data[name] = _Fields(data[name])
    spec: Any = _Fields(data)
    return spec  # type: ignore[no-any-return]
