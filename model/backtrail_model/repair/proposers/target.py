"""The function that is to be written anew, for those who propose whole functions."""

from __future__ import annotations

import ast
from pathlib import Path

from attrs import frozen

from backtrail_model.repair.candidates import Original
from backtrail_model.repair.context import RepairContext

LONGEST = 60
"""Lines of a function; a longer one is nothing that a small model writes anew."""


@frozen
class Target:
    """Where it stands, its text, its head up to the docstring, and what that is made of. The signature is
    empty where the body begins in the same line."""

    original: Original
    line: int
    text: str
    head: str
    signature: str
    docstring: str
    indent: str  # of its body


def target_of(context: RepairContext) -> Target | None:
    """The function with the most suspicion in it; none when it is too long to be written anew."""
    weights: dict[tuple[Path, int], float] = {}
    for suspect in context.suspects:
        if suspect.statement.function != "<module>":
            original = context.originals[suspect.path]
            function = _function(original, suspect.line)
            if function is not None:
                key = (suspect.path, function.lineno)
                weights[key] = weights.get(key, 0.0) + suspect.score
    for (path, line), _ in sorted(weights.items(), key=lambda item: (-item[1], item[0])):
        original = context.originals[path]
        function = _function(original, line)
        if function is not None and (function.end_lineno or line) - line <= LONGEST:
            return _target(original, function)
    return None


def _function(original: Original, line: int) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The outermost function around a line."""
    around = (n for n in original.source.functions if n.lineno <= line <= (n.end_lineno or n.lineno))
    return next(around, None)


def _target(original: Original, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Target:
    source = original.source
    first = source.line_start(node.lineno)
    text = source.text[first : source.line_start((node.end_lineno or node.lineno) + 1)]
    documented = ast.get_docstring(node) is not None
    body = node.body[1] if documented and len(node.body) > 1 else node.body[0]
    end = source.line_start(body.lineno) if not documented or len(node.body) > 1 else first + len(text)
    head = source.text[first:end].rstrip() + "\n"
    signature = source.text[first : source.line_start(node.body[0].lineno)]
    indent = source.indentation(body.lineno)
    return Target(original, node.lineno, text, head, signature, ast.get_docstring(node) or "", indent)
