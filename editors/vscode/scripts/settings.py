"""Writes the server's settings into the extension's manifest; `--check` only says whether they agree.

Run it with a Python that has Backtrail installed, after a change of `backtrail_server/settings.py`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from backtrail_server.config import settings_schema

MANIFEST = Path(__file__).resolve().parent.parent / "package.json"

# A workspace's settings file lives in the repository, and a repository may not choose what is started.
EXTENSION_ONLY: dict[str, dict[str, Any]] = {
    "backtrail.server.path": {
        "type": ["array", "null"],
        "items": {"type": "string"},
        "default": None,
        "description": 'The command that starts the server, such as ["/opt/bin/backtrail", "serve"]; '
        "null looks in the active interpreter, the workspace's .venv and PATH.",
        "scope": "machine",
    },
    "backtrail.trace.server": {
        "type": "string",
        "enum": ["off", "messages", "verbose"],
        "default": "off",
        "description": "Write the messages between the editor and the server to the log.",
        "scope": "window",
    },
}


def wanted() -> dict[str, dict[str, Any]]:
    return {**settings_schema(), **EXTENSION_ONLY}


def with_settings(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the properties of its configuration replaced."""
    contributes = manifest["contributes"]
    configuration = {**contributes["configuration"], "properties": wanted()}
    return {**manifest, "contributes": {**contributes, "configuration": configuration}}


def main(arguments: list[str]) -> int:
    old = MANIFEST.read_text(encoding="utf-8")
    new = json.dumps(with_settings(json.loads(old)), indent=2, ensure_ascii=False) + "\n"
    if new == old:
        return 0
    if "--check" in arguments:
        print(
            f"{MANIFEST} lacks the server's settings as they are now; run {Path(__file__).name}",
            file=sys.stderr,
        )
        return 1
    MANIFEST.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
