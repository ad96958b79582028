"""A person's own fixes: those they applied after they had passed, kept on this machine when they said so.

Kept are the functions that changed, the facts and the fix, with secrets taken out by value. The file lies in
the user's data folder, readable by this user only; deleting it forgets everything.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from backtrail_model.tune.triples import Triple, as_line
from backtrail_probe.redact import Redactor

FILE = "fixes.jsonl"
OWN = "own"
MOST_LINES = 120
"""More does not fit the context that is trained with."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef


@frozen
class Kept:
    """The store in a folder of this user's."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / FILE

    def add(self, triple: Triple) -> None:
        """Appends in one write, so that two processes do not mix their lines. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, as_line(triple).encode("utf-8"))
        finally:
            os.close(handle)


def triple_of(before: str, after: str, facts: str) -> Triple | None:
    """What is learnt from one fix of a file; None when it is too long or does not parse.

    Only the functions that changed are kept, and the whole text only when something else changed.
    """
    try:
        wrong, right = _changed(before, after)
    except (SyntaxError, ValueError):
        return None
    if wrong == right or max(wrong.count("\n"), right.count("\n")) > MOST_LINES:
        return None
    hide = Redactor(os.environ).hide
    wrong, facts, right = (hide(text)[0] for text in (wrong, facts, right))
    texts = "\0".join((wrong, facts, right)).encode("utf-8", "surrogatepass")
    return Triple(hashlib.sha256(texts).hexdigest()[:16], wrong, facts, right, OWN)


def _changed(before: str, after: str) -> tuple[str, str]:
    """The definitions that differ, as (wrong, right); the whole texts where more differs than these."""
    old, new = dict(_functions(before)), dict(_functions(after))
    differing = [name for name in old if name in new and old[name] != new[name]]
    left_before, left_after = before, after
    for name in differing:
        left_before = left_before.replace(old[name], "", 1)
        left_after = left_after.replace(new[name], "", 1)
    if not differing or left_before != left_after:
        return before, after
    return "\n\n".join(old[name] for name in differing), "\n\n".join(new[name] for name in differing)


def _functions(text: str) -> Iterator[tuple[str, str]]:
    """(qualified name, source) of each function at the top level, and of each method."""
    tree = ast.parse(text)
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for one in inside:
            source = ast.get_source_segment(text, one) if isinstance(one, Definition) else None
            if isinstance(one, Definition) and source is not None:
                yield f"{prefix}{one.name}", source
