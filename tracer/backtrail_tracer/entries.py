"""Which entry fits a file, and why: what Backtrail runs when the file is saved."""

from __future__ import annotations

import ast
import fnmatch
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import Attribute, field, frozen

from backtrail_probe.wire import DOCTEST, MODULE, PYTEST, SCRIPT
from backtrail_tracer.importers import Importer, importers, is_test_name
from backtrail_tracer.workspace import Workspace

MOST_TEST_FILES = 20
"""How many test files one entry holds at most."""


_GUARD = re.compile(r"^if\s+__name__\s*==\s*[\"']__main__[\"']", re.MULTILINE)


@frozen
class Entry:
    """Something that can be run. `target` is what `RunSpec.target` says for the kind."""

    id: str  # stable: the same entry of the same file has the same id tomorrow
    kind: str
    target: tuple[str, ...]
    args: tuple[str, ...]
    cwd: Path
    label: str  # "pytest tests/test_stats.py"
    reason: str  # "tests/test_stats.py imports stats"
    paths: tuple[Path, ...]  # the files it is known to cover


@frozen
class ConfiguredEntry:
    """An entry that the person wrote down. Exactly one of the four kinds is set.

    `covers` are globs relative to the root; without any, the entry fits every file.
    """

    name: str
    pytest: str | None = None
    script: str | None = None
    module: str | None = None
    doctest: str | None = None
    args: tuple[str, ...] = ()
    covers: tuple[str, ...] = field(default=())

    @covers.validator
    def _one_kind(self, _attribute: Attribute[Any], _value: Any) -> None:
        if sum(target is not None for target in (self.pytest, self.script, self.module, self.doctest)) != 1:
            raise ValueError(f"entry {self.name!r} must have exactly one of pytest, script, module, doctest")


@frozen
class NoEntry:
    """Nothing runs a file: why, and what to do about it."""

    reason: str
    advice: str


@frozen
class _Source:
    """What the text of the saved file says; `tree` is None when it does not parse."""

    path: Path
    text: str
    tree: ast.Module | None


def discover(
    path: Path,
    root: Path,
    *,
    configured: Sequence[ConfiguredEntry] = (),
    failed_last: Collection[str] = (),
    text: str | None = None,
) -> tuple[Entry, ...] | NoEntry:
    """The entries that fit the file at `path`, best first.

    `failed_last` holds ids of entries, and files relative to the root, of what failed last time; these
    come first. `text` is the file's text when the editor knows better than the disk. Imports and runs
    nothing; raises nothing for what the files hold.
    """
    path, root = _absolute(path), _absolute(root)
    if path.suffix != ".py":
        return NoEntry(f"{path.name} is not a Python file", "Backtrail runs .py files.")
    source = _parse(path, text)
    entries = [
        *_configured(path, root, configured),
        *_own_tests(source, root),
        *_importing_tests(source, root, failed_last),
        *_doctest(source, root),
        *_main(source, root),
    ]
    return tuple(entries) or _nothing(source)


def _absolute(path: Path) -> Path:
    # Not resolved: the editor knows the file by this name, and answers must come back under it.
    return path if path.is_absolute() else Path.cwd() / path


def _parse(path: Path, text: str | None) -> _Source:
    if text is None:
        try:
            text = path.read_text(encoding="utf-8-sig", errors="replace")
        except OSError:
            text = ""
    try:
        return _Source(path, text, ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _Source(path, text, None)


def _nothing(source: _Source) -> NoEntry:
    name = source.path.name
    if source.tree is None:
        return NoEntry(
            f"{name} does not parse, and no test imports it",
            f"Mend it, or write a test in test_{name} that imports it: then what is wrong is shown here.",
        )
    return NoEntry(
        f'no test imports {name}, and it has no doctest and no `if __name__ == "__main__"`',
        f"Write a test in test_{name} that imports it, or name an entry under [tool.backtrail] in "
        "pyproject.toml.",
    )


def relative(path: Path, root: Path) -> str:
    """With forward slashes, relative to the root where it is below it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


# 1. What the person wrote down.


def _configured(path: Path, root: Path, configured: Sequence[ConfiguredEntry]) -> Iterator[Entry]:
    for entry in configured:
        if _covers(entry.covers, relative(path, root)):
            yield _from_configured(entry, path, root)


def _covers(globs: Sequence[str], name: str) -> bool:
    """`src/**/*.py` matches below src at any depth, `src/**` everything in it, `*.py` in every folder."""
    return not globs or any(
        fnmatch.fnmatchcase(name, pattern.replace("**/", "*") if "**/" in pattern else pattern)
        for pattern in globs
    )


def _from_configured(entry: ConfiguredEntry, path: Path, root: Path) -> Entry:
    kind, target = next(
        (kind, target)
        for kind, target in (
            (PYTEST, entry.pytest),
            (SCRIPT, entry.script),
            (MODULE, entry.module),
            (DOCTEST, entry.doctest),
        )
        if target is not None
    )
    targets = tuple(target.split()) if kind == PYTEST else (target,)
    if kind in (SCRIPT, DOCTEST):
        targets = (str(root / target),)
    label = f"{kind} {target}".strip()
    reason = f"the configured entry {entry.name!r}"
    return Entry(f"configured:{entry.name}", kind, targets, entry.args, root, label, reason, (path,))


# 2. Tests.


def _own_tests(source: _Source, root: Path) -> Iterator[Entry]:
    if _has_tests(source):
        name = relative(source.path, root)
        yield Entry(
            f"pytest:{name}", PYTEST, (str(source.path),), (), root, f"pytest {name}", f"{name} holds tests",
            (source.path,),
        )  # fmt: skip


def _has_tests(source: _Source) -> bool:
    if source.tree is None:
        return is_test_name(source.path.name)
    if any(_is_test(node) for node in _statements(source.tree.body)):
        return True
    # Tests may come from elsewhere: by a star import, or by a class that inherits them.
    return is_test_name(source.path.name) and any(
        (isinstance(node, ast.ClassDef) and node.bases)
        or (isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names))
        for node in source.tree.body
    )


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those under `if` and `try` too."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _statements([*node.body, *node.orelse])


def _is_test(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name.startswith("test_") and not _is_fixture(node)
    if not isinstance(node, ast.ClassDef):
        return False
    bases = [base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases]
    if any(base.endswith("TestCase") for base in bases):
        return True
    methods = (each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    return node.name.startswith("Test") and any(name.startswith("test") for name in methods)


def _is_fixture(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("fixture" in ast.dump(decorator) for decorator in node.decorator_list)


def _importing_tests(source: _Source, root: Path, failed_last: Collection[str]) -> Iterator[Entry]:
    if _has_tests(source) or not source.path.is_relative_to(root):
        return
    workspace = Workspace.scan(root)
    if source.path.name == "conftest.py":
        below = [path for path in workspace.files if source.path.parent in path.parents]
        found = [Importer(path, 1, source.path) for path in below if is_test_name(path.name)]
    else:
        found = importers(workspace, source.path)
    if found:
        found.sort(key=lambda each: _rank(each, source.path, root, failed_last))
        yield _of_importers(found, source.path, root)


def _rank(
    each: Importer, path: Path, root: Path, failed_last: Collection[str]
) -> tuple[bool, bool, int, str]:
    """Failed last first, then by name, then by nearness."""
    name = relative(each.path, root)
    failed = name in failed_last or f"pytest:{name}" in failed_last
    named_so = each.path.stem in (f"test_{path.stem}", f"{path.stem}_test")
    shared = len([None for a, b in zip(each.path.parts, path.parts, strict=False) if a == b])
    distance = len(each.path.parts) + len(path.parts) - 2 * shared
    return not failed, not named_so, distance, name


def _of_importers(found: list[Importer], path: Path, root: Path) -> Entry:
    kept = found[:MOST_TEST_FILES]
    names = [relative(each.path, root) for each in kept]
    identity = f"pytest:{names[0]}" if len(names) == 1 else f"tests-of:{relative(path, root)}"
    label = f"pytest {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    return Entry(
        identity, PYTEST, tuple(str(each.path) for each in kept), (), root, label,
        _why(found, len(kept), names[0], path, root), (path, *(each.path for each in kept)),
    )  # fmt: skip


def _why(found: list[Importer], kept: int, first: str, path: Path, root: Path) -> str:
    if path.name == "conftest.py":
        verb = "use" if len(found) > 1 else "uses"
    else:
        verb = "import" if len(found) > 1 else "imports"
    module = path.parent.name if path.name == "__init__.py" else path.stem
    more = f" and {len(found) - 1} more test files" if len(found) > 2 else " and 1 more test file"
    reason = f"{first}{more if len(found) > 1 else ''} {verb} {module}"
    if found[0].depth > 1:
        reason += f" (through {relative(found[0].through, root)})"
    return reason + (f"; the {kept} best of {len(found)} are run" if kept < len(found) else "")


# 3. Doctests, and the program itself.


def _doctest(source: _Source, root: Path) -> Iterator[Entry]:
    if source.tree is not None and any(">>> " in text for text in _docstrings(source.tree)):
        name = relative(source.path, root)
        yield Entry(
            f"doctest:{name}", DOCTEST, (str(source.path),), (), root, f"doctest {name}",
            f"{name} has doctest examples", (source.path,),
        )  # fmt: skip


def _docstrings(tree: ast.Module) -> Iterator[str]:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, kinds):
            yield ast.get_docstring(node, clean=False) or ""


def _main(source: _Source, root: Path) -> Iterator[Entry]:
    path, name = source.path, relative(source.path, root)
    is_package_main = path.name == "__main__.py" and (path.parent / "__init__.py").is_file()
    if not (is_package_main or _has_guard(source)):
        return
    reason = (
        f"{name} is the program of its package" if is_package_main else f'{name} has `__name__ == "__main__"`'
    )
    top, module = _module_name(path)
    if module and (is_package_main or _imports_own_package(source, module)):
        module = module.removesuffix(".__main__")
        yield Entry(f"module:{module}", MODULE, (module,), (), top, f"python -m {module}", reason, (path,))
    else:
        yield Entry(f"script:{name}", SCRIPT, (str(path),), (), root, f"python {name}", reason, (path,))


def _has_guard(source: _Source) -> bool:
    """In a text that does not parse by its words: it is run all the same, so that its error is shown."""
    if source.tree is None:
        return _GUARD.search(source.text) is not None
    return any(map(_is_main, source.tree.body))


def _is_main(node: ast.stmt) -> bool:
    if not (isinstance(node, ast.If) and isinstance(node.test, ast.Compare)):
        return False
    sides = [node.test.left, *node.test.comparators]
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides) and any(
        isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
    )


def _module_name(path: Path) -> tuple[Path, str]:
    """The folder that must be on sys.path, and the dotted name; the name is "" outside a package."""
    folder = path.parent
    parts = [path.stem]
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts) if len(parts) > 1 else ""


def _imports_own_package(source: _Source, module: str) -> bool:
    """Whether the file, run by its path, would not find what it imports."""
    top = module.split(".", maxsplit=1)[0]
    if source.tree is None:
        own = rf"^\s*(?:from\s+\.|(?:from|import)\s+{re.escape(top)}\b)"
        return re.search(own, source.text, re.MULTILINE) is not None
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == top):
            return True
        if isinstance(node, ast.Import) and any(alias.name.split(".")[0] == top for alias in node.names):
            return True
    return False
