"""What else a statement could have named: the variables, constants, attributes and functions around it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from attrs import field, frozen

from backtrail_model.repair.source import Source
from backtrail_model.repair.suspects import Suspect
from backtrail_tracer.statements import FUNCTIONS

MOST = 12


@frozen
class Scope:
    """`variables` maps names to recorded types, `attributes` maps names to the attributes used of them
    in the file; `constants` are the literals of the function, as text."""

    variables: Mapping[str, str] = field(factory=dict)
    constants: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(factory=dict)
    functions: Mapping[str, int] = field(factory=dict)  # of the file, with the number of arguments
    function: str = ""  # the one around the statement
    expected: str = ""  # what the test expected, when that is a literal that any program may hold
    in_loop: bool = False

    def like(self, name: str) -> list[str]:
        """Other variables, those of the same recorded type first."""
        kind = self.variables[name]
        others = [other for other in self.variables if other != name]
        return sorted(others, key=lambda other: self.variables[other] != kind)

    def functions_like(self, name: str) -> list[str]:
        """Other functions of the file that take as many arguments."""
        count = self.functions.get(name)
        return [each for each, other in self.functions.items() if other == count and each != name]


def scope_of(source: Source, suspect: Suspect, variables: Mapping[str, str], expected: str = "") -> Scope:
    """The scope of a statement; names that only its function's text knows count as of type ""."""
    around = source.function_at(suspect.line)
    inside: list[ast.AST] = list(ast.walk(around)) if around is not None else [*source.tree.body]
    return Scope(
        variables={**dict.fromkeys(_arguments(inside), ""), **variables},
        constants=tuple(dict.fromkeys(_constants(inside)))[:MOST],
        attributes=source.attributes,
        functions={n.name: len(n.args.args) for n in source.tree.body if isinstance(n, FUNCTIONS)},
        function=suspect.statement.function.rpartition(".")[2],
        expected=expected,
        in_loop=_in_loop(source, suspect),
    )


def _arguments(nodes: list[ast.AST]) -> Iterator[str]:
    return (node.arg for node in nodes if isinstance(node, ast.arg))


def _constants(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, str):
            text = repr(node.value)
            if len(text) <= 30 and "\n" not in str(node.value):
                yield text


def _in_loop(source: Source, suspect: Suspect) -> bool:
    parent = suspect.statement.parent
    while parent is not None:
        header = source.statements.header_at(parent)
        if header is None:
            return False
        if isinstance(header.node, ast.For | ast.AsyncFor | ast.While):
            return True
        parent = header.parent
    return False
