"""One large file over HTTP, in as many attempts as it takes. What came is kept, also when we are killed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from backtrail_model.fetching.files import Progress, WeightsError, discard, require_space

TRIES = 4
"""Attempts in a row that bring nothing; then it is given up."""
PAUSE_S = 1.0
TIMEOUT = httpx.Timeout(30.0, connect=3.0)


def download(url: str, part: Path, size: int, progress: Progress, headers: Mapping[str, str]) -> None:
    """Fill `part` with the `size` bytes at `url`, from where an earlier attempt broke off.

    Call it under a lock. What is in it must be checked by the caller. Raises WeightsError; then what came
    lies in `part` for the next attempt.
    """
    require_space(part.parent, size - _have(part))
    idle = 0
    with httpx.Client(headers=dict(headers), timeout=TIMEOUT, follow_redirects=True) as client:
        while (had := _have(part)) < size:
            try:
                _append(client, url, part, size, progress)
            except httpx.TransportError as error:
                idle = 0 if _have(part) > had else idle + 1
                if idle == TRIES:
                    raise _broken(url, part, size, str(error) or type(error).__name__) from error
                time.sleep(PAUSE_S)
            else:
                _check_size(url, part, size)


def _append(client: httpx.Client, url: str, part: Path, size: int, progress: Progress) -> None:
    """One request for what is missing; for all of it, where the server knows no ranges."""
    have = _have(part)
    # Compressed on the way, a range would be one of something else.
    asked = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
    with client.stream("GET", url, headers=asked) as answer:
        if answer.status_code not in (200, 206):
            raise _broken(url, part, size, f"the answer was {answer.status_code} {answer.reason_phrase}")
        if answer.status_code == 206 and not answer.headers.get("content-range", "").startswith(
            f"bytes {have}-"
        ):
            raise _broken(url, part, size, "another part was sent than was asked for")
        with part.open("ab" if answer.status_code == 206 else "wb") as out:
            for chunk in answer.iter_bytes():  # as it comes: what waits to fill a chunk would be lost
                out.write(chunk)
                progress("download", out.tell(), size)
                if out.tell() > size:
                    return


def _check_size(url: str, part: Path, size: int) -> None:
    """After an answer that came to its end."""
    if (have := _have(part)) != size:
        discard(part)
        raise WeightsError(
            f"{url} has another size than the {size} bytes that were published (it gave {have}).",
            "Nothing was kept. Is HF_ENDPOINT set to a mirror that can be trusted?",
        )


def _have(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _broken(url: str, part: Path, size: int, why: str) -> WeightsError:
    return WeightsError(
        f"The download of {url} broke off after {_have(part)} of {size} bytes: {why}.",
        "What came is kept: start again to go on from there, or give a local folder or GGUF file.",
    )
