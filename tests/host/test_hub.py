"""Weights from a hub whose connection breaks: taken up again, by us and by the next process, or told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtrail_model import catalogue, weights
from backtrail_model.fetching import resume
from backtrail_model.weights import WeightsError
from tests.host import wheelhouse
from tests.host.hubhouse import Hub

REPOSITORY = "nobody/made-up"
FOLDER = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 40, "evil.py": b"raise SystemExit"}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one GGUF file of 768,000 bytes, empty caches, and no way round over pip."""
    with Hub(REPOSITORY, {"made-up.gguf": wheelhouse.CONTENT}) as running:
        monkeypatch.setenv("BACKTRAIL_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setattr(catalogue, "MODELS", (wheelhouse.model(),))
        monkeypatch.setattr(resume, "PAUSE_S", 0.01)
        _use(running, tmp_path, monkeypatch)
        yield running


def _use(running: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT and HF_HOME do, for a huggingface_hub that was imported before."""
    from huggingface_hub import constants, file_download, hf_api

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", running.url)
    template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
    for module in (constants, file_download):
        if hasattr(module, "HUGGINGFACE_CO_URL_TEMPLATE"):
            monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(hf_api.api, "endpoint", running.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))


def kept(tmp_path: Path) -> list[str]:
    folder = tmp_path / "cache" / "models"
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_cut_connection_is_taken_up_where_it_broke(served: Hub, tmp_path: Path) -> None:
    served.cuts = [300_000, 200_000]
    seen: list[tuple[str, int, int]] = []
    source = weights.fetch(wheelhouse.ALIAS, lambda *step: seen.append(step))
    assert source.path.read_bytes() == wheelhouse.CONTENT
    assert source.origin == "hub"
    assert [asked for _, asked in served.fetched] == ["bytes=0-", "bytes=300000-", "bytes=500000-"]
    assert ("download", len(wheelhouse.CONTENT), len(wheelhouse.CONTENT)) in seen
    assert kept(tmp_path) == ["made-up.gguf"]


def test_what_came_is_kept_for_the_next_start(served: Hub, tmp_path: Path) -> None:
    served.cuts = [300_000] + [0] * resume.TRIES
    with pytest.raises(WeightsError, match=r"broke off after 300000 of 768000 bytes.*start again to go on"):
        weights.fetch(wheelhouse.ALIAS)
    assert kept(tmp_path) == [".made-up.gguf.download"]
    served.fetched.clear()
    assert weights.fetch(wheelhouse.ALIAS).path.read_bytes() == wheelhouse.CONTENT
    assert [asked for _, asked in served.fetched] == ["bytes=300000-"]


CHILD = """
import sys
sys.path.insert(0, {root!r})
from backtrail_model import catalogue, weights
from tests.host import wheelhouse
catalogue.MODELS = (wheelhouse.model(),)
print(weights.fetch(wheelhouse.ALIAS).origin, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_killed_process_hands_on_what_it_had(served: Hub, tmp_path: Path) -> None:
    """Through HF_ENDPOINT, as a person sets it."""
    served.cuts = [300_000, *[0] * 100]
    code = CHILD.format(root=str(Path(__file__).parents[2]))
    environment = {
        **os.environ,
        "HF_ENDPOINT": served.url,
        "HF_HOME": str(tmp_path / "hf"),
        "NO_PROXY": "127.0.0.1",
    }
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    deadline = time.monotonic() + 60
    while len(served.fetched) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert kept(tmp_path) == [".made-up.gguf.download"]
    served.cuts, served.fetched = [], []
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["hub"], done.stderr
    assert [asked for _, asked in served.fetched] == ["bytes=300000-"]
    assert kept(tmp_path) == ["made-up.gguf"]


def test_a_hub_without_ranges_is_begun_anew(served: Hub) -> None:
    served.cuts, served.ranges = [300_000], False
    assert weights.fetch(wheelhouse.ALIAS).path.read_bytes() == wheelhouse.CONTENT
    assert len(served.fetched) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (wheelhouse.CONTENT[:-1] + b"x", "does not have the published SHA-256"),
        (wheelhouse.CONTENT[:-1], "another size than the 768000 bytes"),
        (wheelhouse.CONTENT * 3, "another size than the 768000 bytes"),
    ],
    ids=["changed", "shorter", "longer"],
)
def test_another_file_than_the_published_one_is_not_kept(
    served: Hub, tmp_path: Path, content: bytes, said: str
) -> None:
    served.files["made-up.gguf"] = content
    with pytest.raises(WeightsError, match=said):
        weights.fetch(wheelhouse.ALIAS)
    assert kept(tmp_path) == []


def test_a_file_that_is_not_there_is_told(served: Hub) -> None:
    served.repository = "somebody/else"
    with pytest.raises(WeightsError, match="404"):
        weights.fetch(wheelhouse.ALIAS)


def test_removing_a_model_removes_half_a_download_too(served: Hub, tmp_path: Path) -> None:
    served.cuts = [300_000] + [0] * resume.TRIES
    with pytest.raises(WeightsError):
        weights.fetch(wheelhouse.ALIAS)
    assert weights.remove(wheelhouse.ALIAS) == 300_000
    assert kept(tmp_path) == []


def test_a_folder_comes_without_code_and_over_a_cut(served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # what it loses when a connection is cut
    served.repository, served.files, served.cuts = "some/folder", dict(FOLDER), [3000, 2000]
    source = weights.fetch("some/folder")
    assert (source.kind, source.origin) == ("folder", "hub")
    assert {path.name for path in source.path.iterdir()} == {"config.json", "model.safetensors"}
    assert (source.path / "model.safetensors").read_bytes() == FOLDER["model.safetensors"]
    assert [asked for name, asked in served.fetched if name == "model.safetensors"] == [
        "",
        "bytes=3000-",
        "bytes=5000-",
    ]
    assert weights.fetch("some/folder").origin == "Hugging Face cache"


def test_a_folder_that_breaks_off_is_told_and_whole_files_stay(
    served: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import file_download

    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)
    served.repository, served.files, served.cuts = "some/folder", dict(FOLDER), [0] * 20
    with pytest.raises(WeightsError, match=r"some/folder broke off.*start again to go on"):
        weights.fetch("some/folder")
    served.cuts, served.fetched = [], []
    weights.fetch("some/folder")
    assert [name for name, _ in served.fetched] == ["model.safetensors"]
