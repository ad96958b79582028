"""The VS Code manifest offers exactly the settings and commands that the server has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backtrail_server.config import settings_schema

MANIFEST = Path(__file__).parents[2] / "editors" / "vscode" / "package.json"

# What only the extension needs: how to find and start the server, and what the client library logs.
OWN = {"backtrail.server.path", "backtrail.trace.server"}


@pytest.fixture
def properties() -> dict[str, Any]:
    contributed = json.loads(MANIFEST.read_text(encoding="utf-8"))["contributes"]["configuration"]
    parts = contributed if isinstance(contributed, list) else [contributed]
    return {name: schema for part in parts for name, schema in part["properties"].items()}


def test_no_setting_is_missing_and_none_is_made_up(properties: dict[str, Any]) -> None:
    assert set(properties) - OWN == set(settings_schema())


@pytest.mark.parametrize("name", sorted(settings_schema()))
def test_a_setting_is_described_as_in_the_schema(name: str, properties: dict[str, Any]) -> None:
    expected, found = settings_schema()[name], properties[name]
    assert {key: found.get(key) for key in expected} == expected
