"""`backtrail trust`: read and change the remembered consent of a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from backtrail_server import config
from backtrail_server.trust import Answer, Consent, TrustStore

_MEANING = {
    "always": "its code may run on save",
    "ask": "its code runs only when you ask",
    "never": "its code never runs",
    None: "nothing is remembered: an editor will ask",
}


def meaning(consent: Consent | None) -> str:
    """What a remembered answer comes to, in words."""
    words = _MEANING[consent.answer if consent else None]
    if consent and consent.allow:
        words += f"; the project asked for, and may use: {', '.join(consent.allow)}"
    if consent and consent.allowed:
        words += f"; you allowed it: {', '.join(consent.allowed)}"
    return words


def run(path: Path, answer: str) -> int:
    root = path.resolve()
    if not root.is_dir():
        print(f"{path} is not a folder; name the workspace folder")
        return 2
    store = TrustStore()
    if answer == "forget":
        store.forget(root)
    elif answer != "show":
        allow = config.load_project(root, root).project_allow
        store.remember(root, cast("Answer", answer), allow)
    consent = store.of(root)
    print(f"{root}: {meaning(consent)}")
    return 0
