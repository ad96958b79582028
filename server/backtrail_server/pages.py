"""Pages that are opened in the editor: an explanation, a diff, a prompt. One file of each a workspace."""

from __future__ import annotations

from pathlib import Path


def write(folder: Path, root: Path, name: str, text: str) -> Path:
    """Replace a page whole. Raises OSError. The folder is readable by this user only: values are in it."""
    import hashlib

    folder = folder / "pages"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark = hashlib.sha256(str(root).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    path = folder / f"{root.name}-{mark}-{name}"
    fresh = path.with_name(f".{path.name}.tmp")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return path
