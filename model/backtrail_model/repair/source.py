"""Positions in a source text: from ast's lines and UTF-8 columns to offsets in the string, and back."""

from __future__ import annotations

import ast
from bisect import bisect_right
from functools import cached_property
from typing import Protocol

from attrs import field, frozen

from backtrail_tracer import statements
from backtrail_tracer.statements import Statement, Statements


class Placed(Protocol):
    """A node with a position, as the expressions and statements of ast have it."""

    lineno: int
    col_offset: int
    end_lineno: int | None
    end_col_offset: int | None


@frozen
class Source:
    """A text. Offsets count characters from 0; lines are 1-based. One that does not parse has no statements
    and no functions."""

    text: str = field(repr=False)

    @cached_property
    def error(self) -> SyntaxError | None:
        """Why it does not parse."""
        return error_of(self.text)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text if self.error is None else "")

    @cached_property
    def statements(self) -> Statements:
        return statements.parse(self.text if self.error is None else "")

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines(keepends=True)

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line))
        return starts

    def offset(self, line: int, byte_column: int) -> int:
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return self._starts[line - 1] + len(text.encode()[:byte_column].decode("utf-8", "ignore"))

    def line_start(self, line: int) -> int:
        return self._starts[min(line, len(self.lines) + 1) - 1]

    def line_of(self, offset: int) -> int:
        return min(bisect_right(self._starts, offset), max(1, len(self.lines)))

    def span(self, node: Placed) -> tuple[int, int]:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset
        end = self.offset(end_line, end_column if end_column is not None else node.col_offset)
        return self.offset(node.lineno, node.col_offset), end

    def slice(self, node: Placed) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def statement_span(self, statement: Statement) -> tuple[int, int]:
        """From the first character of a statement to its end; a header includes its colon."""
        start, end = self.span(statement.node)
        head: list[ast.AST] = statements.header_parts(statement.node)
        if isinstance(statement.node, statements.FUNCTIONS):
            head = [statement.node.args, *([statement.node.returns] if statement.node.returns else [])]
        elif not statement.is_header:
            return start, end
        parts = [inner for part in head for inner in ast.walk(part)]
        ends = [self.span(inner)[1] for inner in parts if isinstance(inner, ast.expr | ast.arg)]
        return start, self.text.index(":", max([start, *ends])) + 1

    def indentation(self, line: int) -> str:
        text = self.lines[line - 1]
        return text[: len(text) - len(text.lstrip())]

    @cached_property
    def functions(self) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...]:
        """All functions, outer ones before those inside them."""
        return tuple(node for node in ast.walk(self.tree) if isinstance(node, statements.FUNCTIONS))

    @cached_property
    def bodies(self) -> dict[tuple[int, int], tuple[list[ast.stmt], ast.AST]]:
        """(line, column) of each statement -> the list that it stands in, and what that belongs to."""
        found: dict[tuple[int, int], tuple[list[ast.stmt], ast.AST]] = {}
        for owner in ast.walk(self.tree):
            for name in ("body", "orelse", "finalbody"):
                body: list[ast.stmt] = getattr(owner, name, None) or []
                if isinstance(body, list):  # the body of a lambda is an expression
                    found |= {(each.lineno, each.col_offset): (body, owner) for each in body}
        return found

    @cached_property
    def attributes(self) -> dict[str, tuple[str, ...]]:
        """Name -> the attributes that are used of it anywhere."""
        found: dict[str, dict[str, None]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found.setdefault(node.value.id, {})[node.attr] = None
        return {name: tuple(each) for name, each in found.items()}

    def function_at(self, line: int) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function around a line."""
        around = [node for node in self.functions if _first(node) <= line <= (node.end_lineno or node.lineno)]
        return max(around, key=_first, default=None)

    def function_lines(self, line: int) -> tuple[int, int]:
        """First and last line of the innermost function around a line, or of the whole text."""
        node = self.function_at(line)
        if node is None:
            return 1, max(1, len(self.lines))
        return _first(node), node.end_lineno or node.lineno


def parsed(text: str) -> ast.Module | None:
    """The tree of a text; None when no parser takes it."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def error_of(text: str) -> SyntaxError | None:
    """Why a text does not parse; None when it does. What no parser takes at all is an error at line 1."""
    try:
        ast.parse(text)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError) as error:
        return SyntaxError(str(error), ("", 1, 1, ""))
    return None


def _first(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
