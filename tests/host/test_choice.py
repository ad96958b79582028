"""Which model and which form: what `auto` takes, and what is done where a GPU has no room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from backtrail_model import catalogue
from backtrail_model.host import load as loading
from backtrail_model.host import serve

GB = 1_000_000_000


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let torch believe in a GPU with so many bytes free."""

    def with_free(size: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "made up")
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (size, 80 * GB))

    return with_free


def test_without_a_gpu_auto_takes_what_a_cpu_answers_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    name, reason = serve.choose_model("auto")
    assert name == "qwen2.5-coder-1.5b"
    assert "no GPU" in reason


@pytest.mark.parametrize(
    ("free", "chosen"),
    [
        (80 * GB, "qwen2.5-coder-14b"),
        (12 * GB, "qwen2.5-coder-7b"),
        (7 * GB, "qwen2.5-coder-1.5b"),  # the 3B would fit; its licence is for research only
        (3 * GB, "qwen2.5-coder-0.5b"),
        (1 * GB, "qwen2.5-coder-1.5b"),  # on the CPU
    ],
)
def test_auto_takes_the_largest_that_fits_with_its_context(gpu: Any, free: int, chosen: str) -> None:
    gpu(free)
    name, reason = serve.choose_model("auto")
    assert name == chosen
    assert "free on the GPU" in reason or "are free" in reason


def test_auto_never_takes_a_model_for_research_only(gpu: Any) -> None:
    for free in range(0, 40 * GB, GB // 4):
        gpu(free)
        assert serve.choose_model("auto")[0] != "qwen2.5-coder-3b"


def test_a_model_that_is_asked_for_is_taken_whatever_it_is(gpu: Any) -> None:
    gpu(1 * GB)
    assert serve.choose_model("qwen2.5-coder-3b") == ("qwen2.5-coder-3b", "as asked")


@pytest.mark.parametrize("size", ["0.5b", "1.5b", "3b", "7b", "14b"])
def test_every_alias_has_a_publisher(size: str) -> None:
    found = catalogue.find(f"Qwen2.5-Coder-{size.upper()}")
    assert found is not None
    assert found.hub.startswith("Qwen/Qwen2.5-Coder-")
    assert catalogue.find(found.hub.lower()) is found


def test_a_gpu_without_room_leaves_the_model_to_the_cpu(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(12 * GB)
    asked: list[loading.Form] = []

    def load(folder: Path, form: loading.Form | None = None, adapter: Path | None = None) -> Any:
        asked.append(form or loading.choose_form())
        if asked[-1].device == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return asked[-1]

    monkeypatch.setattr(serve, "load", load)
    form: Any = serve.load_where_it_fits(Path("folder"))
    assert [one.device for one in asked] == ["cuda", "cpu"]
    assert form.reason.startswith("the GPU has too little free memory for this model")
