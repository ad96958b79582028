"""The benches can be started: each is imported with what it needs of Backtrail."""

from __future__ import annotations

import importlib

import pytest
from bench.__main__ import BENCHES, main


@pytest.mark.parametrize("name", [*BENCHES, "repair_small"])
def test_a_bench_finds_all_it_imports(name: str) -> None:
    assert callable(importlib.import_module(f"bench.{name}").main)


def test_an_unknown_bench_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().out
