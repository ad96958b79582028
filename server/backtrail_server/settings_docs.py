"""The schema of the settings for others: JSON schema for VS Code's manifest, a page for docs/."""

from __future__ import annotations

import json
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from backtrail_server.settings import SECTION, Leaf, leaves
from backtrail_tracer.entries import ConfiguredEntry


def settings_schema() -> dict[str, dict[str, Any]]:
    """The JSON-schema properties of every setting by its full name, as VS Code's manifest wants them."""
    return {f"{SECTION}.{leaf.client_name}": _property(leaf) for leaf in leaves()}


def _property(leaf: Leaf) -> dict[str, Any]:
    made = {**_json_type(leaf.kind), "default": _json_default(leaf.default), "description": leaf.doc}
    if leaf.least is not None:
        made["minimum"] = leaf.least
    if leaf.machine:
        # A workspace's settings file lives in the repository: VS Code must not let it widen anything.
        made["scope"] = "machine"
    return made


def _json_type(kind: Any) -> dict[str, Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return {"type": [*(_json_type(a)["type"] for a in arguments if a is not NoneType), "null"]}
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _json_type(arguments[0])}
    if kind is ConfiguredEntry:
        return {
            "type": "object",
            "properties": {name: _json_type(sub) for name, sub in get_type_hints(ConfiguredEntry).items()},
            "required": ["name"],
            "additionalProperties": False,
        }
    return {"type": {str: "string", bool: "boolean", int: "integer", float: "number"}[kind]}


def _json_default(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def settings_page() -> str:
    """docs/settings.md: a table of every setting, by its client's and its project's name."""
    rows = [
        f"| `{leaf.client_name}` | {_project_cell(leaf)} | {_type_words(leaf.kind)} | "
        f"`{json.dumps(_json_default(leaf.default))}` | {leaf.doc.replace('|', chr(92) + '|')} |"
        for leaf in leaves()
    ]
    head = (
        "# Settings\n\n"
        "Made by `python -m backtrail_server.config > docs/settings.md` from `settings.py`.\n"
        "\n"
        "An editor sets them in its section `backtrail` (first column), a project in `[tool.backtrail]` of\n"
        "pyproject.toml (second column). The editor's win. A setting without a name in the second column\n"
        "widens what a program or a prompt may reach, so a repository cannot set it.\n\n"
        "| in the editor | in pyproject.toml | type | default | meaning |\n|---|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def _project_cell(leaf: Leaf) -> str:
    return "–" if leaf.client_only else f"`{leaf.project_name}`"


def _type_words(kind: Any) -> str:
    made = _json_type(kind)
    if "enum" in made:
        return " \\| ".join(f'`"{choice}"`' for choice in made["enum"])
    if made["type"] == "array":
        return f"list of {made['items']['type']}"
    return " or ".join(made["type"]) if isinstance(made["type"], list) else cast("str", made["type"])
