"""Weights from the Hugging Face hub and its cache on this machine.

An unreachable hub must cost seconds, not minutes: it is asked once with a short timeout, and the
answer is remembered for a while. A GGUF file, whose size and checksum we know, is fetched by `resume.py`;
a folder of safetensors by huggingface_hub. What speaks HTTP is imported late: it takes half a second, which
who has the weights already need not wait for.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from backtrail_model.catalogue import Model
from backtrail_model.fetching.files import Progress, WeightsError, disk_errors, locked, sha256

CONNECT_SECONDS = 3.0
REMEMBER_SECONDS = 600.0
WANTED = ("*.safetensors", "*.safetensors.index.json", "*.json", "merges.txt", "vocab.*", "*.jinja")
"""Of a repository only data: no pickles, no Python."""


def cached(model: Model) -> Path | None:
    """The GGUF file, or the folder of safetensors, if the cache on this machine has it whole."""
    try:
        from huggingface_hub import snapshot_download, try_to_load_from_cache
    except ImportError:
        return None
    if model.gguf:
        found = try_to_load_from_cache(model.hub, model.gguf)
        return Path(found) if isinstance(found, str) else None
    try:
        folder = Path(snapshot_download(model.hub, local_files_only=True, allow_patterns=list(WANTED)))
    except OSError:
        return None
    return folder if is_whole(folder) else None


def is_whole(folder: Path) -> bool:
    """Whether a folder has a configuration and every safetensors file that its index names."""
    index = folder / "model.safetensors.index.json"
    if not (folder / "config.json").is_file():
        return False
    if not index.is_file():
        return any(folder.glob("*.safetensors"))
    names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return all((folder / name).is_file() for name in names)


def why_not(state: Path) -> str | None:
    """Why the hub cannot be used now, or None if it can. `state` is a file that remembers the answer."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return "the package huggingface_hub is not installed"
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    return _remembered(state) or _ask(constants.ENDPOINT, state)


def _remembered(state: Path) -> str | None:
    try:
        if time.time() - state.stat().st_mtime < REMEMBER_SECONDS:
            return state.read_text(encoding="utf-8") or None
    except OSError:
        return None
    return None


def _ask(endpoint: str, state: Path) -> str | None:
    import httpx

    try:
        httpx.head(endpoint, timeout=httpx.Timeout(CONNECT_SECONDS))
    except httpx.HTTPError as error:
        reason = f"the hub cannot be reached ({type(error).__name__})"
        with disk_errors(state.parent):
            state.parent.mkdir(parents=True, exist_ok=True)
            state.write_text(reason, encoding="utf-8")
        return reason
    state.unlink(missing_ok=True)
    return None


def download_folder(model: Model, progress: Progress) -> Path:
    """Fetch a folder of safetensors into the hub's own cache. A cut connection is taken up again; files
    that came whole stay for the next attempt. Raises WeightsError."""
    from huggingface_hub import snapshot_download

    progress("download", 0, model.size)
    try:
        return Path(snapshot_download(model.hub, allow_patterns=list(WANTED), etag_timeout=CONNECT_SECONDS))
    except _errors() as error:
        advice = "Files that came whole are kept: start again to go on, or give a local folder or GGUF file."
        raise WeightsError(f"The download of {model.hub} broke off: {error}.", advice) from error


def _errors() -> tuple[type[BaseException], ...]:
    """What huggingface_hub may raise; its HTTP client is httpx or, from its version 2 on, another."""
    from huggingface_hub.errors import HfHubHTTPError

    bases = [base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError"]
    return (OSError, ValueError, *bases)


def part_of(target: Path) -> Path:
    """Where what has come of a file so far is kept."""
    return target.with_name(f".{target.name}.download")


def download_file(model: Model, target: Path, progress: Progress) -> None:
    """Fetch the GGUF file of a model to `target`, from where an earlier attempt broke off, and check it.

    Raises WeightsError if the download breaks or the checksum differs.
    """
    from huggingface_hub import get_token, hf_hub_url

    from backtrail_model.fetching import resume

    assert model.gguf is not None
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with locked(target, progress), disk_errors(target.parent):
        if target.is_file():
            return  # another process was quicker
        part = part_of(target)
        resume.download(hf_hub_url(model.hub, model.gguf), part, model.size, progress, headers)
        if sha256(part, progress) != model.sha256:
            part.unlink()
            raise WeightsError(
                f"{target.name} from the hub does not have the published SHA-256 {model.sha256}.",
                "It was removed. Start again to download it anew.",
            )
        part.replace(target)
