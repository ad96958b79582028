"""Every prompt is a text file in this folder. `$name` is a placeholder, `$$` a dollar sign."""

from __future__ import annotations

import functools
from importlib import resources
from string import Template


@functools.cache
def _template(name: str) -> Template:
    return Template(resources.files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8"))


def fill(name: str, **values: str) -> str:
    """The prompt `name` with its placeholders filled. Raises KeyError when one has no value."""
    return _template(name).substitute(values).strip()


def script(name: str) -> str:
    """The text of `name`.script, a program of ours that is run beside a candidate."""
    return resources.files(__name__).joinpath(f"{name}.script").read_text(encoding="utf-8")
