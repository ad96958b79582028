"""Code of an answer laid over a file: the definitions it has are replaced, what they need is added."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence

from attrs import frozen

from backtrail_model.repair.source import Source, parsed

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Import = ast.Import | ast.ImportFrom


def laid(source: Source, code: str) -> str | None:
    """The text with the definitions of `code` in the place of its own, and with the imports, helpers and
    constants of `code` that it lacks. None where `code` does not parse or defines nothing of the text."""
    code = textwrap.dedent(code)
    if (tree := parsed(code)) is None:
        return None
    known = {node.name for node in ast.walk(source.tree) if isinstance(node, Definition)}
    text = source.text
    for node in tree.body:
        if isinstance(node, Definition) and node.name in known:
            text = _replaced(text, _Written.of(node, code)) or text
    return _with_added(text, list(_lacking(source, tree, code, known))) if text != source.text else None


def _lacking(source: Source, tree: ast.Module, code: str, known: set[str]) -> Iterator[str]:
    """What stands beside the definitions: never a call, which would run when the file is imported."""
    imports = {ast.unparse(node) for node in source.tree.body if isinstance(node, Import)}
    bound = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)}
    for node in tree.body:
        match node:
            case ast.Import() | ast.ImportFrom():
                wanted = ast.unparse(node) not in imports
            case ast.Assign(targets=[ast.Name(id=name)]):
                wanted = name not in bound and _is_constant(node.value)
            case _:
                wanted = isinstance(node, Definition) and node.name not in known
        if wanted:
            yield ast.get_source_segment(code, node) or ""


CONSTANT = (
    *(ast.Constant, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.BinOp, ast.UnaryOp),
    *(ast.operator, ast.unaryop, ast.expr_context),
)


def _is_constant(node: ast.expr) -> bool:
    return all(isinstance(part, CONSTANT) for part in ast.walk(node))


def _with_added(text: str, added: Sequence[str]) -> str:
    """At the top, but after the docstring and what has to come before all else."""
    if not added:
        return text
    first = 0
    for node in ast.parse(text).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring and not isinstance(node, Import):
            break
        first = node.end_lineno or first
    lines = text.split("\n")
    return "\n".join([*lines[:first], *added, *lines[first:]])


@frozen
class _Written:
    """A definition and the lines of the text that it stands in."""

    node: Definition
    lines: tuple[str, ...]

    @classmethod
    def of(cls, node: Definition, code: str) -> _Written:
        return cls(node, tuple(code.split("\n")))

    @property
    def in_one_line(self) -> bool:
        """`def f(x): return x`: head and body share a line."""
        return _first_line(self.node.body[0]) <= _end_of_head(self.node)

    def opened(self) -> _Written:
        """With the body in lines of its own."""
        if not self.in_one_line:
            return self
        code = ast.unparse(self.node)
        node = ast.parse(code).body[0]
        assert isinstance(node, Definition)
        return _Written.of(node, code)

    @property
    def documented(self) -> bool:
        """Whether there is a docstring, and more than that."""
        match self.node.body:
            case [ast.Expr(value=ast.Constant(value=str())), _, *_]:
                return True
        return False

    @property
    def head(self) -> list[str]:
        """Without decorators and docstring."""
        return list(self.lines[self.node.lineno - 1 : _first_line(self.node.body[0]) - 1])

    @property
    def docstring(self) -> list[str]:
        first = self.node.body[0]
        return list(self.lines[first.lineno - 1 : self._body - 1]) if self.documented else []

    @property
    def body(self) -> list[str]:
        """Without the docstring."""
        return list(self.lines[self._body - 1 : self.node.end_lineno])

    @property
    def _body(self) -> int:
        return _first_line(self.node.body[1 if self.documented else 0])


def _replaced(text: str, new: _Written) -> str | None:
    """The definition of the same name replaced. Its docstring is kept, and its head too, unless the new one
    calls its arguments otherwise. None: there is none of that kind."""
    found = (n for n in ast.walk(ast.parse(text)) if type(n) is type(new.node) and n.name == new.node.name)
    node = next(found, None)
    if not isinstance(node, Definition):
        return None
    old, new = _Written.of(node, text), new.opened()
    outer = " " * node.col_offset
    inner = outer + "    " if old.in_one_line else _lead(old.body[0]) or outer + "    "
    keeps = not old.in_one_line and _names(old.node) == _names(new.node)
    head = old.head if keeps else indented(new.head, outer)
    docstring = [] if old.in_one_line else old.docstring
    if not docstring and new.documented:
        docstring = indented(new.docstring, inner)
    body = indented(new.body, inner)
    end = node.end_lineno or node.lineno
    return "\n".join([*old.lines[: node.lineno - 1], *head, *docstring, *body, *old.lines[end:]])


def _names(node: Definition) -> list[str]:
    if isinstance(node, ast.ClassDef):
        return []
    return [each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)]


def _first_line(node: ast.stmt) -> int:
    """Where a statement begins, its decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def _end_of_head(node: Definition) -> int:
    """The last line on which something of the head stands, its colon apart."""
    inside = (
        [node.args, node.returns] if not isinstance(node, ast.ClassDef) else [*node.bases, *node.keywords]
    )
    parts = [each for part in inside if part is not None for each in ast.walk(part)]
    return max([node.lineno, *(getattr(each, "end_lineno", 0) or 0 for each in parts)])


def _lead(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def indented(lines: Sequence[str], indent: str) -> list[str]:
    """The lines with the first one at `indent`."""
    lead = _lead(lines[0])
    shifted = [line.removeprefix(lead) if line.startswith(lead) else line.lstrip() for line in lines]
    return [indent + line if line.strip() else "" for line in shifted]
