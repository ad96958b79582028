"""The VS Code extension's manifest against the server's one schema of settings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

EXTENSION = Path(__file__).parents[2] / "editors" / "vscode"


def test_the_manifest_has_the_servers_settings() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/settings.py", "--check"],
        cwd=EXTENSION,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_extension_has_the_servers_version() -> None:
    from backtrail_server import __version__

    assert json.loads((EXTENSION / "package.json").read_text())["version"] == __version__


def test_the_lock_file_names_no_registry() -> None:
    packages = json.loads((EXTENSION / "package-lock.json").read_text())["packages"]
    assert len(packages) > 100
    assert not [name for name, package in packages.items() if "resolved" in package]
