"""Runs a script or a module as `python script.py` and `python -m module` do."""

from __future__ import annotations

import os
import sys
import types

from backtrail_probe.constants import SCRIPT
from backtrail_probe.overlay import Overlay
from backtrail_probe.report import Report

from . import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from backtrail_probe.wire import RunSpec

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run_main(spec: RunSpec, report: Report, overlay: Overlay) -> Outcome:
    target = spec.target[0]
    script = spec.kind == SCRIPT
    path = os.path.abspath(target) if script else _module_path(target)
    item = report.begin(target, path, 0)
    try:
        if script:
            _run_script(target, spec.args, overlay)
        else:
            _run_module(target, spec.args)
    except SystemExit as error:
        failed = bool(error.code)
        report.done(item, "failed" if failed else "passed", f"exit code {error.code}" if failed else "")
        return Outcome("failed" if failed else "completed", error.code)
    except BaseException as error:
        return _uncaught(error, item, report)
    report.done(item, "passed")
    return Outcome("completed")


def _uncaught(error: BaseException, item: int, report: Report) -> Outcome:
    error.__traceback__ = _without_our_frames(error.__traceback__)
    report.failure(item, error)
    stopped = type(error).__name__ == "SideEffectBlocked"
    report.done(item, "stopped" if stopped else "failed", str(error) if stopped else "")
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    sys.excepthook(type(error), error, error.__traceback__)
    status = "stopped" if stopped else "failed"
    return Outcome(status, 1, str(error) if stopped else "", interrupted=isinstance(error, KeyboardInterrupt))


def _run_script(target: str, args: "list[str]", overlay: Overlay) -> None:
    """sys.argv has the target as it was given, everything else its absolute path, as from Python 3.9 on."""
    sys.argv[:] = [target, *args]
    sys.path.insert(0, os.path.dirname(os.path.realpath(target)))
    scope = _new_main()
    path = os.path.abspath(target)
    scope["__file__"] = path
    scope["__cached__"] = None
    from importlib.machinery import SourceFileLoader

    scope["__loader__"] = SourceFileLoader("__main__", path)
    code = compile(overlay.read(path), path, "exec", dont_inherit=True)
    exec(code, scope)


def _run_module(name: str, args: "list[str]") -> None:
    import runpy

    sys.argv[:] = ["-m", *args]
    sys.path.insert(0, os.getcwd())
    _new_main()
    runpy._run_module_as_main(name)  # type: ignore[attr-defined]


def _new_main() -> "Dict[str, Any]":
    import builtins

    main = types.ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __annotations__={})
    sys.modules["__main__"] = main
    return main.__dict__


def _module_path(name: str) -> str:
    """The file of a module, without importing it; empty if that takes running code."""
    from importlib.machinery import PathFinder

    base = os.path.join(os.getcwd(), *name.split("."))
    for path in (os.path.join(base, "__main__.py"), base + ".py"):
        if os.path.isfile(path):
            return path
    if "." in name:
        return ""
    found = PathFinder.find_spec(name, [os.getcwd(), *sys.path])
    return found.origin if found is not None and found.origin else ""


def _without_our_frames(traceback: Any) -> Any:
    """What plain Python would show begins at the program's own first frame."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith((_OWN, "<frozen runpy")):
        traceback = traceback.tb_next
    return traceback
