"""The statements of a source text, and what each reads, writes, calls and is controlled by.

A line of a trace belongs to the innermost statement that covers it. Of a compound statement only
the header counts (`if x < y:`); its body consists of statements of their own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cached_property

from attrs import field, frozen

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.Lambda, ast.ClassDef)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
JUMPS = (ast.Return, ast.Raise, ast.Continue, ast.Break)

# Methods that are known to change their receiver. A change by another one is still seen when the
# recorded value changed; this table serves the cases where the value looks the same.
MUTATORS = frozenset(
    [
        "append",
        "extend",
        "insert",
        "remove",
        "pop",
        "clear",
        "sort",
        "reverse",
        "add",
        "discard",
        "update",
        "setdefault",
        "popitem",
        "appendleft",
        "popleft",
        "extendleft",
        "rotate",
        "write",
        "push",
        "put",
    ]
)


@frozen
class Statement:
    """One simple statement, or the header of a compound one. Lines are 1-based and inclusive."""

    line: int
    end_line: int
    node: ast.stmt = field(repr=False, eq=False)
    function: str  # qualified name of the enclosing function, "<module>" outside
    function_line: int  # first line of the enclosing function's code (its decorator's), 1 outside
    parent: int | None  # line of the compound statement it stands in, in the same function
    block: tuple[int, int]  # first and last line of what a compound header controls; (0, -1) for others

    @property
    def last_line(self) -> int:
        """The last line of the whole statement, with what a header controls."""
        return self.node.end_lineno or self.end_line

    @property
    def is_header(self) -> bool:
        return self.block[1] >= self.block[0]

    def controls(self, line: int) -> bool:
        """Whether a line is inside this header's block."""
        return self.block[0] <= line <= self.block[1]

    @cached_property
    def reads(self) -> frozenset[str]:
        """Names whose value the statement uses."""
        names = {node.id for node in self._names() if isinstance(node.ctx, ast.Load)}
        if isinstance(self.node, ast.AugAssign):
            names |= {node.id for node in ast.walk(self.node.target) if isinstance(node, ast.Name)}
        return frozenset(names)

    @cached_property
    def writes(self) -> frozenset[str]:
        """Names that the statement binds, or whose object it changes in a way that the text shows."""
        return self.binds | self.mutates

    @cached_property
    def binds(self) -> frozenset[str]:
        """Names that the statement binds or deletes."""
        names = {node.id for node in self._names() if not isinstance(node.ctx, ast.Load)}
        return frozenset(names | set(_bound_otherwise(self.node)))

    @cached_property
    def mutates(self) -> frozenset[str]:
        """Names whose object the statement changes in a way that the text shows."""
        return frozenset(self._mutated())

    def reads_within(self, start: tuple[int, int], end: tuple[int, int]) -> frozenset[str]:
        """Names read between two places, each (line, UTF-8 column)."""
        inside = (n for n in self._names() if start <= (n.lineno, n.col_offset) <= end)
        return frozenset(node.id for node in inside if node.id in self.reads)

    @cached_property
    def yields(self) -> bool:
        return any(isinstance(part, ast.Yield | ast.YieldFrom) for part in self._parts())

    @cached_property
    def calls(self) -> tuple[str, ...]:
        """The last part of the name of each function or method that is called."""
        found = [node.func for node in self._parts() if isinstance(node, ast.Call)]
        names = [f.id if isinstance(f, ast.Name) else getattr(f, "attr", "") for f in found]
        return tuple(name for name in names if name)

    def _parts(self) -> Iterator[ast.AST]:
        return (part for top in header_parts(self.node) for part in _walk_scope(top))

    def _names(self) -> Iterator[ast.Name]:
        return (part for part in self._parts() if isinstance(part, ast.Name))

    def _mutated(self) -> Iterator[str]:
        if isinstance(self.node, ast.AugAssign):
            yield from _root_name(self.node.target)  # a list that is added to stays the same list
        for part in self._parts():
            if isinstance(part, ast.Subscript | ast.Attribute) and not isinstance(part.ctx, ast.Load):
                yield from _root_name(part)
            elif (
                isinstance(part, ast.Call)
                and isinstance(part.func, ast.Attribute)
                and part.func.attr in MUTATORS
            ):
                yield from _root_name(part.func)


@frozen
class Statements:
    """All statements of one text, by line."""

    all: tuple[Statement, ...] = ()
    by_line: Mapping[int, tuple[Statement, ...]] = field(factory=dict, repr=False)  # line -> outermost first

    def covering(self, line: int) -> tuple[Statement, ...]:
        """The statements on a line; more than one in `if x: y`."""
        return self.by_line.get(line, ())

    def at(self, line: int) -> Statement | None:
        """The innermost statement on a line."""
        return next(reversed(self.covering(line)), None)

    def header_at(self, line: int) -> Statement | None:
        """The compound header that covers a line, if one does."""
        return next((one for one in self.covering(line) if one.is_header), None)

    def __iter__(self) -> Iterator[Statement]:
        return iter(self.all)

    def controlling(self, statement: Statement) -> Iterator[Statement]:
        """The headers around a statement, innermost first, within its function."""
        while statement.parent is not None and (above := self.header_at(statement.parent)) is not None:
            yield above
            statement = above

    def inside(self, header: Statement) -> Iterator[Statement]:
        """The statements that a header controls, its own nested ones included."""
        return (one for one in self if header.controls(one.line) and one is not header)

    def written_inside(self, header: Statement) -> frozenset[str]:
        """The names that some statement inside a header writes."""
        return self._written[header.line]

    def handled(self, statement: Statement) -> tuple[int, int] | None:
        """First and last line of the `try` whose exception led to a statement in an `except` block."""
        inner = statement
        for above in self.controlling(statement):
            if isinstance(above.node, ast.Try | ast.TryStar):
                handlers = above.node.handlers
                if any(h.lineno <= inner.line <= (h.end_lineno or h.lineno) for h in handlers):
                    return above.node.body[0].lineno, above.node.body[-1].end_lineno or 0
            inner = above
        return None

    def is_local(self, name: str, function: str, first: int) -> bool:
        """Whether a name belongs to the function whose code begins at line `first`, and to no outer scope."""
        return function == "<module>" or name in self._locals.get((function, first), ())

    def can_leave(self, header: Statement) -> bool:
        """Whether something inside a header leaves the function or a loop."""
        return header.line in self._leaving

    @cached_property
    def _written(self) -> Mapping[int, frozenset[str]]:
        headers = [one for one in self if one.is_header]
        return {
            header.line: frozenset(name for inner in self.inside(header) for name in inner.writes)
            for header in headers
        }

    @cached_property
    def _locals(self) -> Mapping[tuple[str, int], frozenset[str]]:
        """(function, its first line) -> the names that it binds, its arguments included."""
        bound: dict[tuple[str, int], set[str]] = {}
        shared: dict[tuple[str, int], set[str]] = {}
        for one in self:
            bound.setdefault((one.function, one.function_line), set()).update(one.binds)
            if isinstance(one.node, ast.Global | ast.Nonlocal):
                shared.setdefault((one.function, one.function_line), set()).update(one.node.names)
            if isinstance(one.node, FUNCTIONS):
                name = one.node.name if one.function == "<module>" else f"{one.function}.{one.node.name}"
                given = {a.arg for a in ast.walk(one.node.args) if isinstance(a, ast.arg)}
                bound.setdefault((name, _start(one.node)), set()).update(given)
        return {key: frozenset(names - shared.get(key, set())) for key, names in bound.items()}

    @cached_property
    def _leaving(self) -> frozenset[int]:
        headers = (one for one in self if one.is_header)
        return frozenset(h.line for h in headers if any(isinstance(i.node, JUMPS) for i in self.inside(h)))


def parse(text: str) -> Statements:
    """The statements of `text`; none when it has a syntax error."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return Statements()
    found = tuple(_visit(tree.body, "<module>", 1, None))
    table: dict[int, tuple[Statement, ...]] = {}
    for one in found:
        for line in range(one.line, one.end_line + 1):
            table[line] = (*table.get(line, ()), one)
    return Statements(found, table)


def header_parts(node: ast.stmt) -> list[ast.AST]:
    """What of a statement is evaluated at its own line: all of a simple one, the header of a compound one."""
    match node:
        case ast.If() | ast.While():
            return [node.test]
        case ast.For() | ast.AsyncFor():
            return [node.target, node.iter]
        case ast.With() | ast.AsyncWith():
            return list(node.items)
        case ast.Match():
            return [node.subject]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)]
        case ast.ClassDef():
            return [*node.decorator_list, *node.bases]
        case ast.Try() | ast.TryStar():
            return []
    return [node]


def header_end(node: ast.stmt) -> int:
    """The last line of the header of a compound statement, or of a whole simple one."""
    if not hasattr(node, "body") and not hasattr(node, "cases"):
        return node.end_lineno or node.lineno
    parts = (inner for part in header_parts(node) for inner in ast.walk(part))
    return max([node.lineno, *(int(getattr(inner, "end_lineno", 0) or 0) for inner in parts)])


def _visit(body: list[ast.stmt], function: str, first: int, parent: int | None) -> Iterator[Statement]:
    """Outer statements come before inner ones, so that the inner ones win a line they share."""
    for node in body:
        blocks = [block for block in _blocks(node) if block]
        lines = [line for block in blocks for one in block for line in (_start(one), one.end_lineno or 0)]
        reach = (
            (min(lines), max(lines))
            if lines and not isinstance(node, (*FUNCTIONS, ast.ClassDef))
            else (0, -1)
        )
        yield Statement(node.lineno, header_end(node), node, function, first, parent, reach)
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            name = node.name if function == "<module>" else f"{function}.{node.name}"
            yield from _visit(node.body, name, _start(node), None)
        else:
            for block in blocks:
                yield from _visit(block, function, first, node.lineno)


def _blocks(node: ast.stmt) -> list[list[ast.stmt]]:
    blocks = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
    blocks += [handler.body for handler in getattr(node, "handlers", [])]
    return blocks + [case.body for case in getattr(node, "cases", [])]


def _start(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _walk_scope(top: ast.AST) -> Iterator[ast.AST]:
    """Like ast.walk; the own variables of a comprehension or lambda are left out, what it reads is not."""
    if isinstance(top, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        own = {n.id for g in top.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
    elif isinstance(top, ast.Lambda):
        own = {argument.arg for argument in ast.walk(top.args) if isinstance(argument, ast.arg)}
    else:
        yield top
        for child in ast.iter_child_nodes(top):
            yield from _walk_scope(child)
        return
    for child in ast.iter_child_nodes(top):
        yield from (p for p in _walk_scope(child) if not (isinstance(p, ast.Name) and p.id in own))


def _bound_otherwise(node: ast.stmt) -> Iterator[str]:
    """Names bound without an ast.Name: definitions and imports."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Try | ast.TryStar):
        yield from (handler.name for handler in node.handlers if handler.name)


def _root_name(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
