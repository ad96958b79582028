"""A made-up local wheel index with a made-up model in parts, for tests of fetching."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from backtrail_model import catalogue
from backtrail_model.catalogue import Model, Wheels
from backtrail_model.fetching import hub

CONTENT = bytes(range(256)) * 3000
ALIAS = "made-up"


def model(content: bytes = CONTENT, *, size: int | None = None) -> Model:
    """A catalogue entry whose wheels are `made-up-part1` to `part3`."""
    return Model(
        ALIAS,
        "nobody/made-up",
        0.001,
        "none",
        gguf="made-up.gguf",
        size=len(content) if size is None else size,
        sha256=hashlib.sha256(content).hexdigest(),
        wheels=Wheels("made-up-part{}", "1.0", 3),
    )


def build(folder: Path, content: bytes = CONTENT, parts: int = 3) -> Path:
    """Write the wheels into `folder`; the parts differ in length, as real ones do."""
    folder.mkdir(parents=True, exist_ok=True)
    cuts = [0, len(content) // 2, len(content) // 2 + 1000, len(content)]
    for part in range(1, parts + 1):
        _wheel(folder, f"made_up_part{part}", f"data/part{part:02}.bin", content[cuts[part - 1] : cuts[part]])
    return folder


def _wheel(folder: Path, name: str, member: str, data: bytes) -> None:
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": b"raise SystemExit('the code of a wheel was run')\n",
        f"{name}/{member}": data,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(content)},{len(content)}\n" for path, content in files.items())
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache in `folder`, a hub that is off, pip looking at `folder`/wheels only, and one model in
    the catalogue. Returns the cache."""
    monkeypatch.setenv("BACKTRAIL_CACHE", str(folder / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder / "wheels"))
    monkeypatch.setattr(hub, "cached", lambda model: None)
    monkeypatch.setattr(hub, "why_not", lambda state: "the hub is off")
    monkeypatch.setattr(catalogue, "MODELS", (model(),))
    return folder / "cache"
