"""Settings: every source, and one message for what is wrong in each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backtrail_server import config
from backtrail_server.config import Settings, load
from backtrail_server.settings import leaves


def project(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "pyproject.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_defaults_apply_without_any_source() -> None:
    assert load(None, None) == config.Loaded(Settings())


def test_a_project_sets_snake_case_and_the_client_wins_in_camel_case(tmp_path: Path) -> None:
    file = project(
        tmp_path,
        """
        [tool.backtrail]
        python = "py/bin/python"
        on_save = "off"
        [tool.backtrail.limits]
        wall_seconds = 3
        memory_mb = 512
        """,
    )
    loaded = load({"limits": {"wallSeconds": 7.5}, "onSave": "trace"}, file)
    assert loaded.problems == ()
    assert loaded.settings.python == "py/bin/python"
    assert loaded.settings.on_save == "trace"
    assert loaded.settings.limits.wall_seconds == 7.5
    assert loaded.settings.limits.memory_mb == 512
    assert loaded.settings.limits.processes == 32


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"onsave": "off"}, "unknown setting `onsave` (did you mean `onSave`?)"),
        ({"limits": {"wall_seconds": 3}}, "unknown setting `limits.wall_seconds`"),
        ({"limits": 3}, "unknown setting `limits`"),
        ({"onSave": "always"}, "`onSave` must be one of 'trace', 'off', not 'always'"),
        ({"limits": {"wallSeconds": "ten"}}, "`limits.wallSeconds` must be a number, not the text 'ten'"),
        ({"limits": {"wallSeconds": 0}}, "`limits.wallSeconds` must be a number of at least 0.1, not 0"),
        ({"limits": {"processes": True}}, "`limits.processes` must be a whole number, not true"),
        ({"limits": {"processes": 1.5}}, "`limits.processes` must be a whole number, not 1.5"),
        ({"guard": {"allow": "network"}}, "`guard.allow` must be a list, not the text 'network'"),
        (
            {"entries": [{"name": "x"}]},
            "a list of tables, each with a name and exactly one",
        ),
        ({"entries": [{"name": "x", "pytest": "t", "cover": []}]}, "without the unknown key `cover`"),
        ({"entries": [{"name": "x", "pytest": "t", "script": "s"}]}, "exactly one of pytest, script"),
        ([1], "`backtrail` must be a table of settings, not a list"),
    ],
)
def test_what_is_wrong_is_named_once_and_the_rest_applies(given: object, named: str) -> None:
    with_good = {**given, "codeLens": {"enabled": False}} if isinstance(given, dict) else given
    loaded = load(with_good, None)
    assert len(loaded.problems) == 1
    assert named in loaded.problems[0]
    assert "the editor's settings" in loaded.problems[0]
    if isinstance(given, dict):
        assert loaded.settings.code_lens.enabled is False


def test_several_wrong_keys_of_one_file_make_one_message(tmp_path: Path) -> None:
    file = project(tmp_path, "[tool.backtrail]\nfoo = 1\non_save = 2\nlimits.processes = 4\n")
    loaded = load({}, file)
    assert len(loaded.problems) == 1
    assert (
        "`foo`" in loaded.problems[0]
        and "`on_save`" in loaded.problems[0]
        and str(file) in loaded.problems[0]
    )
    assert loaded.settings.limits.processes == 4


@pytest.mark.parametrize("text", ["[tool.backtrail\n", "[tool.backtrail]\nx = \n", "\xff"])
def test_malformed_toml_is_said_with_the_file_and_the_client_still_counts(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_bytes(text.encode("latin-1"))
    loaded = load({"onSave": "off"}, file)
    assert len(loaded.problems) == 1 and str(file) in loaded.problems[0]
    assert loaded.settings.on_save == "off"


@pytest.mark.parametrize(
    "key", ["model.allow_hosts = ['evil.example']", "model.token = 'x'", "model.auto_start = true"]
)
def test_a_repository_may_not_widen_what_a_prompt_reaches(tmp_path: Path, key: str) -> None:
    loaded = load(None, project(tmp_path, f"[tool.backtrail]\n{key}\n"))
    assert loaded.settings == Settings()
    assert len(loaded.problems) == 1 and "in the editor only" in loaded.problems[0]


def test_what_a_repository_allows_its_code_is_kept_apart_for_the_consent(tmp_path: Path) -> None:
    file = project(tmp_path, "[tool.backtrail.guard]\nallow = ['network']\n")
    assert load(None, file).project_allow == ("network",)
    mine = load({"guard": {"allow": ["subprocess"]}}, file)
    assert mine.project_allow == () and mine.settings.guard.allow == ("subprocess",)


def test_the_nearest_project_file_counts_and_none_above_the_root(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    assert config.project_file(inner, tmp_path) == tmp_path / "pyproject.toml"
    assert config.project_file(inner, tmp_path / "a") is None
    (inner / "pyproject.toml").touch()
    assert config.project_file(inner, tmp_path) == inner / "pyproject.toml"


def test_every_setting_has_a_sentence_and_a_default_that_it_accepts() -> None:
    for leaf in leaves():
        assert leaf.doc.endswith(".") and len(leaf.doc) > 20, leaf
        assert config._check(leaf.default, leaf.kind, leaf.least) == leaf.default


def test_the_page_of_settings_is_what_the_schema_makes() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "backtrail_server.config"],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    ).stdout
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == made, (
        "run: python -m backtrail_server.config > docs/settings.md"
    )
