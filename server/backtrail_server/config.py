"""How settings are read: the client's section, the project's table, the defaults, and what was wrong.

The client's section `backtrail` (camelCase) wins over `[tool.backtrail]` (snake_case) in the nearest
pyproject.toml, which wins over the defaults. The schema itself is `settings.py`; the VS Code manifest and
docs/settings.md are checked against it (`python -m backtrail_server.config` prints the latter).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from attrs import evolve, fields, frozen, has

from backtrail_server.settings import SECTION, Leaf, Settings, leaves
from backtrail_tracer.entries import ConfiguredEntry

__all__ = ["Loaded", "Settings", "load", "load_project", "project_file", "settings_schema"]


@frozen
class Loaded:
    """Settings as far as they could be read, and what was wrong: one message a source, naming the keys."""

    settings: Settings
    problems: tuple[str, ...] = ()
    project_allow: tuple[str, ...] = ()  # what a repository's guard.allow asks for: needs consent


def load(client: object, project_file: Path | None) -> Loaded:
    """Merge the client's section over the project's over the defaults.

    What is wrong is left out and said in one message for each source; everything else applies.
    """
    table, problem = _read_project(project_file) if project_file else ({}, None)
    project, project_wrong = _read(table, from_client=False)
    chosen, client_wrong = _read(client, from_client=True)
    merged = {**project, **chosen}
    problems = [problem] if problem else []
    if project_wrong:
        problems.append(_say(project_wrong, f"[tool.backtrail] of {project_file}"))
    if client_wrong:
        problems.append(_say(client_wrong, "the editor's settings, section backtrail"))
    allow = () if ("guard", "allow") in chosen else project.get(("guard", "allow"), ())
    return Loaded(_build(Settings, (), merged), tuple(problems), tuple(allow))


def settings_schema() -> dict[str, dict[str, Any]]:
    """The JSON-schema properties of every setting by its full name, as VS Code's manifest wants them."""
    from backtrail_server.settings_docs import settings_schema as made

    return made()


def load_project(folder: Path, root: Path) -> Loaded:
    """The settings that hold in a folder of a project, without an editor."""
    return load(None, project_file(folder, root))


def project_file(path: Path, root: Path) -> Path | None:
    """The nearest pyproject.toml at or above `path` and not above `root`, or None."""
    for folder in (path, *path.parents):
        if (folder / "pyproject.toml").is_file():
            return folder / "pyproject.toml"
        if folder == root:
            return None
    return None


def _read_project(path: Path) -> tuple[object, str | None]:
    import tomllib

    try:
        tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError) as error:
        return (
            {},
            f"Backtrail: [tool.backtrail] was not read: {path} is not valid TOML ({error}). Correct it.",
        )
    return (tool.get(SECTION, {}) if isinstance(tool, dict) else {}), None


def _say(wrong: list[str], where: str) -> str:
    return f"Backtrail: in {where}: {'; '.join(wrong)}. The other settings apply."


def _read(given: object, *, from_client: bool) -> tuple[dict[tuple[str, ...], Any], list[str]]:
    """The good values by their path in the schema, and a phrase for each bad one."""
    if given is None:
        return {}, []
    if not isinstance(given, Mapping):
        return {}, [f"`{SECTION}` must be a table of settings, not {_kind_of(given)}"]
    names = {leaf.client_name if from_client else leaf.project_name: leaf for leaf in leaves()}
    good: dict[tuple[str, ...], Any] = {}
    wrong: list[str] = []
    for name, value in _flatten(given, "", names):
        leaf = names.get(name)
        if leaf is None:
            wrong.append(f"unknown setting `{name}`{_nearest(name, list(names))}")
        elif leaf.client_only and not from_client:
            wrong.append(f"`{name}` may be set in the editor only, not by a project")
        else:
            try:
                good[leaf.parts] = _check(value, leaf.kind, leaf.least)
            except ValueError as error:
                wrong.append(f"`{name}` must be {error}")
    return good, wrong


def _flatten(given: Mapping[str, Any], prefix: str, names: Mapping[str, Leaf]) -> Iterator[tuple[str, Any]]:
    for key, value in given.items():
        name = f"{prefix}{key}"
        group = any(known.startswith(f"{name}.") for known in names)
        if group and isinstance(value, Mapping):
            yield from _flatten(value, f"{name}.", names)
        elif not (group and value is None):
            yield name, value


def _nearest(name: str, names: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean `{close[0]}`?)" if close else ""


def _check(value: Any, kind: Any, least: float | None = None) -> Any:
    """The value as the schema wants it. Raises ValueError that says what it must be."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        return _check(value, next(a for a in arguments if a is not NoneType), least)
    if origin is Literal:
        return _check_choice(value, arguments)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"a list, not {_kind_of(value)}")
        return tuple(_check(item, arguments[0]) for item in value)
    if kind is ConfiguredEntry:
        return _check_entry(value)
    return _check_plain(value, kind, least)


def _check_choice(value: Any, choices: tuple[Any, ...]) -> Any:
    if value not in choices:
        raise ValueError(f"one of {', '.join(repr(c) for c in choices)}, not {value!r}")
    return value


def _check_plain(value: Any, kind: Any, least: float | None) -> Any:
    words = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}[kind]
    # A boolean is an int in Python, and 1.0 is how some editors write 1.
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise ValueError(f"{words}, not {_kind_of(value)}")
    if least is not None and not value >= least:
        raise ValueError(f"{words} of at least {least:g}, not {value:g}")
    return value


def _check_entry(value: Any) -> ConfiguredEntry:
    if not isinstance(value, Mapping):
        raise ValueError("a list of tables with a name and one of pytest, script, module, doctest")
    known = get_type_hints(ConfiguredEntry)
    if unknown := [key for key in value if key not in known]:
        raise ValueError(f"a list of tables without the unknown key `{unknown[0]}`")
    given = {key: _check(item, known[key]) for key, item in value.items()}
    kinds = [key for key in ("pytest", "script", "module", "doctest") if given.get(key)]
    if "name" not in given or len(kinds) != 1:
        raise ValueError(
            "a list of tables, each with a name and exactly one of pytest, script, module, doctest"
        )
    return ConfiguredEntry(**given)


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, bool | int | float):
        return f"{value!r}".lower()
    return "a list" if isinstance(value, list | tuple) else "a table"


def _build(cls: type, parts: tuple[str, ...], values: Mapping[tuple[str, ...], Any]) -> Any:
    made = cls()
    for attribute in fields(cls):
        here = (*parts, attribute.name)
        current = getattr(made, attribute.name)
        inside = has(type(current)) and any(key[: len(here)] == here for key in values)
        if here in values:
            made = evolve(made, **{attribute.name: values[here]})
        elif inside:
            made = evolve(made, **{attribute.name: _build(type(current), here, values)})
    return made


if __name__ == "__main__":
    import sys

    from backtrail_server.settings_docs import settings_page

    sys.stdout.write(settings_page())
