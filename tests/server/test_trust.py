"""Consent is remembered outside the repository, by the real folder, and by several servers at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backtrail_server.trust import TrustStore, question


def test_an_answer_is_kept_for_the_next_server(tmp_path: Path) -> None:
    root = tmp_path / "work"
    assert TrustStore(tmp_path / "data").of(root) is None
    TrustStore(tmp_path / "data").remember(root, "ask", ("network",))
    consent = TrustStore(tmp_path / "data").of(root)
    assert consent is not None and consent.answer == "ask" and consent.allow == ("network",)
    assert TrustStore(tmp_path / "data").of(tmp_path) is None, "a workspace does not speak for the one above"


def test_a_link_to_a_workspace_is_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    store = TrustStore(tmp_path / "data")
    store.remember(tmp_path / "link", "always")
    assert store.answer(tmp_path / "real") == "always"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99, "workspaces": {}}', '{"version": 1}'])
def test_a_damaged_file_is_no_consent_and_can_be_answered_again(tmp_path: Path, text: str) -> None:
    store = TrustStore(tmp_path)
    store.file.write_text(text)
    assert store.of(tmp_path) is None
    store.remember(tmp_path, "always")
    assert store.answer(tmp_path) == "always"


def test_an_unknown_answer_in_the_file_is_no_consent(tmp_path: Path) -> None:
    store = TrustStore(tmp_path)
    store.remember(tmp_path, "always")
    data = json.loads(store.file.read_text())
    data["workspaces"][os.path.realpath(tmp_path)]["answer"] = "yes"
    store.file.write_text(json.dumps(data))
    assert store.of(tmp_path) is None


def test_what_the_repository_asks_beyond_what_was_shown_is_not_covered(tmp_path: Path) -> None:
    consent = TrustStore(tmp_path).remember(tmp_path, "always", ("network",))
    assert consent.covers(()) and consent.covers(("network",))
    assert not consent.covers(("network", "subprocess"))


def test_two_servers_that_write_at_once_lose_no_answer(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from backtrail_server.trust import TrustStore\n"
        "store = TrustStore(Path(sys.argv[1]))\n"
        "for n in range(25): store.remember(Path(f'/w/{sys.argv[2]}/{n}'), 'always')\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name]) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(json.loads((tmp_path / "trust.json").read_text())["workspaces"]) == 75
    assert [path.name for path in tmp_path.iterdir()] == ["trust.json"], "nothing is left behind"


def test_the_lock_of_a_server_that_died_is_taken_over(tmp_path: Path) -> None:
    lock = tmp_path / "trust.lock"
    lock.touch()
    os.utime(lock, (time.time() - 60, time.time() - 60))
    TrustStore(tmp_path).remember(tmp_path, "never")
    assert TrustStore(tmp_path).answer(tmp_path) == "never"


def test_the_question_says_what_runs_with_what_where_and_what_it_may(tmp_path: Path) -> None:
    text = question(tmp_path, "pytest tests", Path("/usr/bin/python3"), ("network",))
    for part in ("pytest tests", "/usr/bin/python3", str(tmp_path), "network"):
        assert part in text
