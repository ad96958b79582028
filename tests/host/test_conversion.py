"""The conversion to NF4 with real weights: killed in the middle, begun twice at once, within its memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backtrail_model import weights

pytestmark = pytest.mark.model

CHILD = """
import sys
from backtrail_model import weights
def tell(stage, done, total):
    print(stage, done, total, flush=True)
print("ready", weights.prepare(sys.argv[1], tell), flush=True)
"""


@pytest.fixture(scope="module")
def published() -> Path:
    """The GGUF file of the 135M model."""
    return weights.fetch("smollm2-135m").path


def convert(published: Path, cache: Path) -> subprocess.Popen[str]:
    """A process that converts, saying how far it is."""
    command = [sys.executable, "-c", CHILD, str(published)]
    environment = {**os.environ, "BACKTRAIL_CACHE": str(cache)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def kept(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "models").iterdir() if not path.name.endswith(".lock"))


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_killed_in_the_middle_it_leaves_no_model_and_the_next_start_converts(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = convert(published, tmp_path)
    assert process.stdout is not None
    seen = 0
    for line in process.stdout:
        seen += line.startswith("conversion")
        if seen == 100:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert seen == 100, "it was still at work"
    (half,) = kept(tmp_path)
    assert half.startswith(".") and half.endswith(".part"), "nothing has the name of a model"
    monkeypatch.setenv("BACKTRAIL_CACHE", str(tmp_path))
    folder = weights.prepare(str(published))
    assert kept(tmp_path) == [folder.name]
    assert weights.verify(str(published)) == []
    described = json.loads((folder / "config.json").read_text())
    assert described["architectures"] == ["LlamaForCausalLM"], "other servers look here for the class"


def test_two_at_once_convert_once(published: Path, tmp_path: Path) -> None:
    both = [convert(published, tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=240)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("conversion" in one for one in said) == [False, True]
    assert sum("waiting" in one for one in said) <= 1
    assert len({one.splitlines()[-1] for one in said}) == 1, "both have the same folder"
    assert len(kept(tmp_path)) == 1
