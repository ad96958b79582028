"""Starts a program under the probe: `python [flags] launch.py SPEC.json`.

Run as a script by its path, and in an interpreter that knows nothing of us: the package is put into
`sys.modules` by hand, so that nothing of ours is on `sys.path`, where it could hide the user's modules.
"""

import builtins
import os
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location

_HERE = os.path.dirname(os.path.abspath(__file__))


class _Loader(SourceFileLoader):
    """Gives each module of ours built-ins of its own: what the program does to the `builtins` module
    must not reach the recorder. They have to be there before a function is made."""

    def exec_module(self, module):  # type: ignore[no-untyped-def]
        module.__dict__["__builtins__"] = _BUILTINS
        super().exec_module(module)


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
    if len(arguments) not in (1, 2) or (len(arguments) == 2 and arguments[0] != "--worker"):
        sys.exit("usage: launch.py [--worker] SPEC.json")
    _load_package()
    sys.meta_path.insert(0, _Finder)
    import backtrail_probe.entry.run_doctest
    import backtrail_probe.entry.run_pytest
    import backtrail_probe.entry.run_script  # noqa: F401
    from backtrail_probe.start import run_file

    sys.meta_path.remove(_Finder)
    if len(arguments) == 2:
        from backtrail_probe.worker import work

        work(arguments[1])
    else:
        run_file(arguments[0])


if __name__ == "__main__":
    main()
