"""Source text laid over files: it runs in their place, and nothing is written to disk.

Every way from a file to running code is covered: the import system (and its .pyc files, which are
neither used nor written for such a file), pytest's rewriting of test modules, and the scripts that
the probe compiles itself. `linecache` is told too, so that tracebacks show the text that ran.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional


class Overlay:
    """`texts`: absolute path -> source."""

    def __init__(self, texts: "Dict[str, str]") -> None:
        self.before_first: "Optional[Callable[[], None]]" = None
        """Called once, when a file that is laid over is looked at for the first time; may `replace`."""
        self.replace(texts)

    def replace(self, texts: "Dict[str, str]") -> None:
        self._texts = {path: text.encode("utf-8", "surrogatepass") for path, text in texts.items()}
        for path in list(self._texts):
            self._texts.setdefault(os.path.realpath(path), self._texts[path])

    def find(self, path: Any) -> "Optional[bytes]":
        """The source for a path that a loader or a program spells in its own way; None if not laid over."""
        if not self._texts:
            return None
        name = path if isinstance(path, str) else str(path)
        if name not in self._texts:
            name = os.path.abspath(name)
        if self.before_first is not None and name in self._texts:
            call, self.before_first = self.before_first, None
            call()
        return self._texts.get(name)

    def read(self, path: str) -> bytes:
        """Raises OSError when there is neither an overlay nor a file."""
        found = self.find(path)
        if found is not None:
            return found
        import io

        with io.open_code(os.path.abspath(path)) as file:
            return file.read()

    def install(self) -> None:
        """Puts it in place for the rest of the process."""
        if self._texts:
            self._into_imports()
            self._into_linecache()

    def _into_imports(self) -> None:
        find = self.find
        get_data, path_stats = SourceFileLoader.get_data, SourceFileLoader.path_stats

        def overlaid_data(loader: Any, path: Any) -> bytes:
            found = find(path)
            return get_data(loader, path) if found is None else found

        def overlaid_stats(loader: Any, path: Any) -> Any:
            if find(path) is not None:
                # Without a time of change the loader neither looks for a .pyc nor writes one.
                raise OSError(f"{path} is laid over")
            return path_stats(loader, path)

        SourceFileLoader.get_data = overlaid_data  # type: ignore[assignment]
        SourceFileLoader.path_stats = overlaid_stats  # type: ignore[assignment, method-assign]

    def _into_linecache(self) -> None:
        import linecache

        find, update = self.find, linecache.updatecache

        def overlaid(filename: str, module_globals: Any = None) -> "List[str]":
            found = find(filename)
            if found is None:
                return update(filename, module_globals)
            lines = _lines(found)
            # No time of change: then `checkcache` does not compare it with the file on disk.
            linecache.cache[filename] = (len(found), None, lines, filename)
            return lines

        linecache.updatecache = overlaid

    def into_pytest(self) -> None:
        """pytest compiles test modules itself, from the file or from its own .pyc."""
        if not self._texts:
            return
        import ast

        from _pytest.assertion import rewrite

        find, read_pyc, rewrite_test = self.find, rewrite._read_pyc, rewrite._rewrite_test

        def overlaid_pyc(source: Any, pyc: Any, *rest: Any, **named: Any) -> Any:
            return None if find(source) is not None else read_pyc(source, pyc, *rest, **named)

        def overlaid_rewrite(path: Any, config: Any) -> Any:
            found = find(path)
            if found is None:
                return rewrite_test(path, config)
            name = str(path)
            tree = ast.parse(found, filename=name)
            rewrite.rewrite_asserts(tree, found, name, config)
            return os.stat(name), compile(tree, name, "exec", dont_inherit=True)

        rewrite._read_pyc = overlaid_pyc
        rewrite._rewrite_test = overlaid_rewrite


def _lines(source: bytes) -> "List[str]":
    from io import BytesIO
    from tokenize import detect_encoding

    try:
        encoding, _ = detect_encoding(BytesIO(source).readline)
    except SyntaxError:
        encoding = "utf-8"
    text = source.decode(encoding, "replace")
    lines = text.splitlines(True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return lines


def no_bytecode() -> None:
    """A run leaves no .pyc files behind in the user's folders."""
    sys.dont_write_bytecode = True
