"""Ways to put a trace into a prompt, by name. One module each, with one function `render`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backtrail_model.evidence.material import Material, Rendering
from backtrail_model.evidence.representations import (
    code_executor,
    concise,
    fact,
    inline,
    nothing,
    semcoder,
    sliced,
)

Render = Callable[[Material], Rendering]

REPRESENTATIONS: Mapping[str, Render] = {
    "none": nothing.render,
    "fact": fact.render,
    "next": inline.render,
    "code_executor": code_executor.render,
    "concise": concise.render,
    "semcoder": semcoder.render,
    "slice": sliced.render,
}
DEFAULT = "slice"


def renderer(name: str) -> Render:
    """Raises ValueError for a name that is not in the table."""
    if name not in REPRESENTATIONS:
        raise ValueError(f"no representation {name!r}: there are {', '.join(sorted(REPRESENTATIONS))}")
    return REPRESENTATIONS[name]
