"""Starts a program under the probe: `python [flags] launch.py SPEC.json`.

`--worker SPEC.json` starts a warm worker; `--compile` only compiles our modules, since what is compiled
inside a sandbox cannot be kept. A Python that the program starts calls `join` (see `children.py`).

Run as a script by its path, and in an interpreter that knows nothing of us: the package is put into
`sys.modules` by hand, so that nothing of ours is on `sys.path`, where it could hide the user's modules.
"""

import builtins
import os
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import cache_from_source, module_from_spec, spec_from_file_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

_HERE = os.path.dirname(os.path.abspath(__file__))
_ELSEWHERE = os.path.join(os.path.expanduser("~"), ".cache", "backtrail", "compiled")
"""For an installation that cannot be written to: the user's own, and seen from inside the sandbox."""


class _Loader(SourceFileLoader):
    """Gives each module of ours built-ins of its own: what the program does to the `builtins` module
    must not reach the recorder. They have to be there before a function is made."""

    def exec_module(self, module):  # type: ignore[no-untyped-def]
        module.__dict__["__builtins__"] = _BUILTINS
        super().exec_module(module)

    def get_code(self, fullname: str) -> "CodeType | None":
        """Our own modules are kept compiled also where the program's must not be (PYTHONDONTWRITEBYTECODE):
        to compile them takes longer than all the rest of a start."""
        wishes = sys.dont_write_bytecode, sys.pycache_prefix
        sys.dont_write_bytecode = False
        if not (os.path.exists(cache_from_source(self.path)) or os.access(_HERE, os.W_OK)):
            sys.pycache_prefix = _ELSEWHERE
        try:
            return super().get_code(fullname)
        finally:
            sys.dont_write_bytecode, sys.pycache_prefix = wishes


class _Finder:
    """Stands on `sys.meta_path` only while the package is loaded."""

    @staticmethod
    def find_spec(name, path=None, target=None):  # type: ignore[no-untyped-def]
        if not name.startswith("backtrail_probe."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.origin)
        return spec


_BUILTINS = dict(vars(builtins))


def _load_package() -> None:
    if sys.path and os.path.abspath(sys.path[0]) == _HERE:
        del sys.path[0]
    init = os.path.join(_HERE, "__init__.py")
    spec = spec_from_file_location("backtrail_probe", init, submodule_search_locations=[_HERE])
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {init}")
    package = module_from_spec(spec)
    sys.modules["backtrail_probe"] = package
    spec.loader.exec_module(package)


def main() -> None:
    arguments = sys.argv[1:]
    if arguments == ["--compile"]:
        _compile_all()
        return
    if len(arguments) not in (1, 2) or (len(arguments) == 2 and arguments[0] != "--worker"):
        sys.exit("usage: launch.py [--worker] SPEC.json | --compile")
    _load_package()
    sys.meta_path.insert(0, _Finder)
    from backtrail_probe.start import run_file

    if len(arguments) == 2:
        import backtrail_probe.entry.run_doctest
        import backtrail_probe.entry.run_pytest
        import backtrail_probe.entry.run_script  # noqa: F401
        from backtrail_probe.worker import work

        _all_is_loaded()
        work(arguments[1])
    else:
        run_file(arguments[0], _all_is_loaded)


def join(path: str) -> None:
    """Records this process, whose own code is still to begin, as a child of the run specified there."""
    _load_package()
    sys.meta_path.insert(0, _Finder)
    try:
        from backtrail_probe.start import join_run

        join_run(path)
    finally:
        _all_is_loaded()


def _compile_all() -> None:
    for folder, _, names in os.walk(_HERE):
        for name in names:
            if name.endswith(".py"):
                _Loader("backtrail_probe", os.path.join(folder, name)).get_code("backtrail_probe")


def _all_is_loaded() -> None:
    sys.meta_path.remove(_Finder)


if __name__ == "__main__":
    main()
