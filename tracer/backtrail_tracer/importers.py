"""Which test files import a module, directly or through other modules of the workspace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import define, field, frozen

from backtrail_tracer.workspace import Import, Workspace

_DEEPEST = 4
_SOURCE_FOLDERS = ("src", "lib", "python")


@frozen
class Importer:
    """A test file that needs the module; `through` is the module of the workspace that it really names."""

    path: Path
    depth: int  # 1: it names the module itself
    through: Path


def is_test_name(name: str) -> bool:
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


@define
class _Resolver:
    """Finds the file that an import statement means, by looking where Python and pytest would look."""

    workspace: Workspace
    _bases: dict[Path, tuple[Path, ...]] = field(factory=dict)

    def targets(self, path: Path) -> Iterator[Path]:
        """The files of the workspace that importing `path` imports too, directly."""
        for statement in self.workspace.imports_of(path):
            for base, parts in self._places(path, statement):
                found = list(self._files(base, parts, statement.names))
                if found:
                    yield from found
                    break

    def _places(self, path: Path, statement: Import) -> Iterator[tuple[Path, list[str]]]:
        parts = statement.module.split(".") if statement.module else []
        if statement.level:
            folder = path.parent
            for _ in range(statement.level - 1):
                folder = folder.parent
            yield folder, parts
            return
        for base in self.bases(path.parent):
            yield base, parts

    def bases(self, folder: Path) -> tuple[Path, ...]:
        """Folders that are likely on sys.path for a file in `folder`, the likeliest first."""
        if folder not in self._bases:
            root = self.workspace.root
            above = [
                parent for parent in (folder, *folder.parents) if parent == root or root in parent.parents
            ]
            conftest = [
                self.workspace.package_root(parent)
                for parent in above
                if parent in self.workspace.conftest_folders
            ]
            sources = [parent / name for parent in above for name in ("", *_SOURCE_FOLDERS)]
            self._bases[folder] = tuple(
                dict.fromkeys([self.workspace.package_root(folder), *conftest, root, root / "src", *sources])
            )
        return self._bases[folder]

    def _files(self, base: Path, parts: list[str], names: tuple[str, ...]) -> Iterator[Path]:
        """`pkg/__init__.py`, `pkg/mod.py` and, for `from pkg import mod`, the file of each name."""
        folder = base
        for part in parts[:-1]:
            folder = folder / part
            if self.workspace.has(folder / "__init__.py"):
                yield folder / "__init__.py"
        if parts:
            module = folder / f"{parts[-1]}.py"
            if self.workspace.has(module):
                yield module
                return
            folder = folder / parts[-1]
            if self.workspace.has(folder / "__init__.py"):
                yield folder / "__init__.py"
        elif self.workspace.has(folder / "__init__.py"):
            yield folder / "__init__.py"
        for name in names:
            for path in (folder / f"{name}.py", folder / name / "__init__.py"):
                if self.workspace.has(path):
                    yield path


def importers(workspace: Workspace, module: Path) -> list[Importer]:
    """Test files that import `module`, and those that do so through others when nothing names it.

    Shapes: one entry a test file, with the smallest depth; in no particular order.
    """
    graph = _reverse_graph(workspace)
    found: dict[Path, Importer] = {}
    seen = {module}
    level = [module]
    for depth in range(1, _DEEPEST + 1):
        reached: list[Path] = []
        for target in level:
            for path in graph.get(target, ()):
                if path in seen:
                    continue
                seen.add(path)
                reached.append(path)
                if is_test_name(path.name):
                    found[path] = Importer(path, depth, target)
        if found:
            break  # tests that are nearer say more about the module than those behind them
        level = reached
    return list(found.values())


def _reverse_graph(workspace: Workspace) -> dict[Path, list[Path]]:
    resolver = _Resolver(workspace)
    graph: dict[Path, list[Path]] = {}
    for path in workspace.files:
        for target in dict.fromkeys(resolver.targets(path)):
            if target != path:
                graph.setdefault(target, []).append(path)
    return graph
