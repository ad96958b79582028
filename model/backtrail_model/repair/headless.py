"""The head of a function that has lost it: its name from who calls it, its parameters from what it reads."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence
from itertools import islice, permutations
from textwrap import dedent, indent

from attrs import define, field, frozen

from backtrail_model.repair.source import parsed

MOST_NAMES = 4
MOST_ORDERS = 24
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


@frozen
class Header:
    """`text` is a whole line, such as "def gcd(p, q):"."""

    text: str
    weight: float


Calls = dict[str, list[list[ast.expr]]]
"""Name -> the positional arguments of each call of it."""


def headers(body: str, rest: str, tests: Sequence[str]) -> Iterator[Header]:
    """Heads for `body`, the likeliest first. `rest` is the file without it; `tests` use what the file
    defines. Nothing when the body is none, or nobody asks for a function that is missing."""
    inside = parsed("def _():\n" + indent(dedent(body), "    "))
    if inside is None:
        return
    file = parsed(rest)
    around = [tree for tree in (file, *map(parsed, tests)) if tree is not None]
    reads = _Reads.of(inside.body[0])
    defined = _defined(around) | set(dir(builtins))
    calls = _calls([inside, *around])
    missing = [name for name in [*calls, *_imported(around)] if name not in defined]
    wanted = list(dict.fromkeys(missing))
    known = _Reads.bound_by(file.body if file is not None else []) | set(dir(builtins)) | set(wanted)
    parameters = [one for one in reads if one not in known]
    for rank, name in enumerate(wanted[:MOST_NAMES]):
        arities = {len(arguments) for arguments in calls.get(name, ())}
        if arities and len(parameters) not in arities:
            continue
        orders = _orders(parameters, calls.get(name, []))
        for turn, order in enumerate(islice(orders, MOST_ORDERS)):
            yield Header(f"def {name}({', '.join(order)}):", 0.8 * 0.8**rank * 0.7**turn)


def _orders(parameters: list[str], calls: list[list[ast.expr]]) -> Iterator[tuple[str, ...]]:
    """What the calls suggest, by the names in their arguments; then as the body reads them; then all."""
    found: dict[tuple[str, ...], None] = {}
    for arguments in calls:
        named = [_names(argument) & set(parameters) for argument in arguments]
        if all(len(names) == 1 for names in named):
            found.setdefault(tuple(names.pop() for names in named))
    fitting = (order for order in found if sorted(order) == sorted(parameters))
    yield from dict.fromkeys([*fitting, *islice(permutations(parameters), MOST_ORDERS)])


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _defined(trees: Sequence[ast.Module]) -> set[str]:
    """Names that are bound anywhere; what is imported from a file by name may be the very one it lacks."""
    found: set[str] = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Import):
            found |= {(one.asname or one.name).partition(".")[0] for one in node.names}
    return found


def _calls(trees: Sequence[ast.Module]) -> Calls:
    found: Calls = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            found.setdefault(node.func.id, []).append(node.args)
    return found


def _imported(trees: Sequence[ast.Module]) -> Iterator[str]:
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.ImportFrom):
            yield from (one.name for one in node.names if one.name != "*")


@define
class _Reads(ast.NodeVisitor):
    """Which names a body reads before it has bound them, in the order in which it is run."""

    bound: set[str] = field(factory=set)
    names: dict[str, None] = field(factory=dict)

    @classmethod
    def of(cls, function: ast.stmt) -> list[str]:
        reads = cls()
        assert isinstance(function, ast.FunctionDef)
        for statement in function.body:
            reads.visit(statement)
        calls = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
        called = {one.id for one in calls if isinstance(one, ast.Name)}
        return [name for name in reads.names if name not in called]

    @classmethod
    def bound_by(cls, statements: Sequence[ast.stmt]) -> set[str]:
        reads = cls()
        reads._each(*statements)
        return reads.bound

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.bound.add(node.id)
        elif node.id not in self.bound:
            self.names.setdefault(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._each(node.value, *node.targets)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._each(node.value, node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._each(node.value, node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.visit(ast.Name(node.target.id, ast.Load()))
        self._each(node.value, node.target)

    def visit_For(self, node: ast.For) -> None:
        self._each(node.iter, node.target, *node.body, *node.orelse)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.bound.add(node.name)
        self._apart([*node.body], [argument.arg for argument in _arguments(node.args)])

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._apart([node.body], [argument.arg for argument in _arguments(node.args)])

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.bound |= {(one.asname or one.name).partition(".")[0] for one in node.names}

    visit_ImportFrom = visit_Import

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.bound.add(node.name)
        self._apart([*node.bases, *node.body], [])

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.bound |= {node.name} if node.name else set()
        self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, _COMPREHENSIONS):
            parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            each = [part for one in node.generators for part in (one.iter, one.target, *one.ifs)]
            self._apart([*each, *parts], [])
            return
        super().generic_visit(node)

    def _each(self, *nodes: ast.AST | None) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def _apart(self, nodes: Sequence[ast.AST], bound: Sequence[str]) -> None:
        """In a scope of its own."""
        before = set(self.bound)
        self.bound |= set(bound)
        self._each(*nodes)
        self.bound = before


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    more = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *more]
