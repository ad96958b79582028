"""What a model's answer to "reply with the edit" means, when it may be in one of several forms.

Understood are SEARCH/REPLACE blocks, and code: a whole function (or file), or a few lines of which
the first and last still stand in the file.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence

from backtrail_model.repair.candidates import Original
from backtrail_model.repair.source import parsed

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_BLOCK = re.compile(r"<{5,}\s*SEARCH[^\n]*\n(.*?)\n?={5,}[^\n]*\n(.*?)\n?>{5,}\s*REPLACE", re.DOTALL)
# Small models remember the words and forget the fences.
_LOOSE = re.compile(
    r"[<>]{3,}\s*SEARCH\s*\n(.*?)\n[<>=]{3,}\s*(?:REPLACE)?\s*\n(.*?)(?:\n[<>`]{3,}|\Z)", re.DOTALL | re.I
)
_FENCE = re.compile(r"```[\w+-]*[^\n]*\n(.*?)(?:\n```|\Z)", re.DOTALL)


def texts(original: Original, answer: str) -> Iterator[str]:
    """The whole new texts that an answer may mean, most literal first; none when it makes no sense."""
    found = _BLOCK.findall(answer) or _LOOSE.findall(answer)
    if found:
        text: str | None = original.text
        for search, replacement in found:
            text = apply_block(text, search, replacement) if text is not None else None
        yield from [text] if text is not None else []
        return
    for code in _FENCE.findall(answer) or [answer]:
        yield from _code(original, code)


def standing_alone(answer: str) -> Iterator[str]:
    """The code of an answer to a program that does not parse, which nothing can be laid over."""
    for code in map(textwrap.dedent, _FENCE.findall(answer) or [answer]):
        if (tree := parsed(code)) is not None and any(isinstance(node, Definition) for node in tree.body):
            yield code


def apply_block(text: str, search: str, replacement: str) -> str | None:
    """`search` replaced where it first stands; indentation may be off by a constant. None: not there."""
    wanted = search.strip("\n").split("\n")
    lines = text.split("\n")
    for at in range(len(lines) - len(wanted) + 1):
        here = lines[at : at + len(wanted)]
        if [line.strip() for line in here] == [line.strip() for line in wanted] and any(
            map(str.strip, wanted)
        ):
            indent = here[0][: len(here[0]) - len(here[0].lstrip())]
            new = _indented(replacement.strip("\n"), indent) if replacement.strip() else []
            return "\n".join([*lines[:at], *new, *lines[at + len(wanted) :]])
    return None


def _indented(code: str, indent: str) -> list[str]:
    """The code with its first line at `indent`."""
    lines = code.split("\n")
    lead = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    shifted = [line.removeprefix(lead) if line.startswith(lead) else line.lstrip() for line in lines]
    return [indent + line if line.strip() else "" for line in shifted]


def _code(original: Original, code: str) -> Iterator[str]:
    """Definitions that the file has are replaced; imports and helpers that it lacks are added to it."""
    code = textwrap.dedent(code)
    if (tree := parsed(code)) is None:
        return
    text, added = original.text, []
    known = {node.name for node in ast.walk(original.source.tree) if isinstance(node, Definition)}
    for node in tree.body:
        if isinstance(node, Definition) and node.name in known:
            text = _replace_definition(text, node, code) or text
        elif isinstance(node, Definition) or (
            isinstance(node, ast.Import | ast.ImportFrom) and ast.unparse(node) not in text
        ):
            added.append(ast.get_source_segment(code, node) or "")
    if text != original.text:
        yield _with_added(text, added)


def _with_added(text: str, added: Sequence[str]) -> str:
    """At the top, but after the docstring and what has to come before all else."""
    if not added:
        return text
    first = 0
    for node in ast.parse(text).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring and not isinstance(node, ast.Import | ast.ImportFrom):
            break
        first = node.end_lineno or first
    lines = text.split("\n")
    return "\n".join([*lines[:first], *added, *lines[first:]])


def _replace_definition(text: str, new: Definition, code: str) -> str | None:
    """The definition of the same name replaced; its docstring is kept when the new one has none."""
    old = next((n for n in ast.walk(ast.parse(text)) if type(n) is type(new) and n.name == new.name), None)
    if not isinstance(old, Definition):
        return None
    lines = text.split("\n")
    indent = " " * old.col_offset
    head_old, body_old = (
        lines[old.lineno - 1 : _body_line(old) - 1],
        lines[_body_line(old) - 1 : old.end_lineno],
    )
    code_lines = code.split("\n")
    body_new = code_lines[_body_line(new) - 1 : new.end_lineno]
    if not head_old or not body_new:
        return None
    inner = body_old[0][: len(body_old[0]) - len(body_old[0].lstrip())] or indent + "    "
    moved = _indented("\n".join(body_new), inner)
    return "\n".join([*lines[: old.lineno - 1], *head_old, *moved, *lines[old.end_lineno or old.lineno :]])


def _body_line(node: Definition) -> int:
    """The line of the first statement after the docstring."""
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return node.body[1].lineno if is_docstring and len(node.body) > 1 else first.lineno
