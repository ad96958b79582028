"""Runs pytest in this process, as `python -m pytest` does, with a plugin that tells of its items."""

from __future__ import annotations

import os
import sys

from backtrail_probe.overlay import Overlay
from backtrail_probe.report import Report

from . import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List

    from backtrail_probe.wire import RunSpec

_COMPLETED, _FAILED, _INTERRUPTED, _INTERNAL, _USAGE, _NOTHING = range(6)


def run_pytest(spec: RunSpec, report: Report, overlay: Overlay, stop_first: bool = False) -> Outcome:
    sys.path.insert(0, os.getcwd())
    try:
        import pytest
    except ImportError:
        python = sys.executable
        return Outcome("usage", 4, f"pytest is not installed in {python}: {python} -m pip install pytest")
    from .pytest_plugin import Plugin

    overlay.into_pytest()
    sys.argv[:] = [os.path.join(os.path.dirname(pytest.__file__), "__main__.py"), *spec.target, *spec.args]
    plugin = Plugin(report, overlay)
    arguments = [*_flags(spec), *(["-x"] if stop_first else []), *spec.args, *spec.target]
    try:
        code = int(pytest.main(arguments, plugins=[plugin]))
    except SystemExit as error:
        return Outcome("failed", error.code, "the tests ended the interpreter")
    except BaseException as error:
        if type(error).__name__ != "SideEffectBlocked":
            raise
        return Outcome("stopped", 1, str(error))
    return _outcome(code, plugin)


def _outcome(code: int, plugin: Any) -> Outcome:
    message = "; ".join(plugin.notes)
    if code == _COMPLETED:
        return Outcome("completed", code, message)
    if code == _NOTHING:
        return Outcome("usage", code, "pytest found no tests in " + ", ".join(plugin.targets))
    if code in (_USAGE, _INTERNAL) and not plugin.items:
        return Outcome("usage", code, "pytest could not start: see its output")
    return Outcome("stopped" if plugin.stopped else "failed", code, message)


def _flags(spec: RunSpec) -> "List[str]":
    """A quiet run without plugins that would take the tests to other processes or write files.

    They are neutralised rather than switched off: with a plugin gone, its options in the project's
    own `addopts` would be errors.
    """
    flags = ["-q", "--no-header", "-o", f"cache_dir={os.path.join(spec.scratch, 'pytest_cache')}"]
    # What pytest prints of a failure is read by nobody, and its own way of doing that looks through all
    # modules for the source, which takes longer than the test.
    flags += ["--tb=native"]
    if not spec.record:
        flags += ["--capture=sys"]  # a file for captured output would be shared by all that are forked later
    if os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        return flags
    from importlib.util import find_spec

    if find_spec("xdist"):
        flags += ["-n", "0", "--dist", "no"]
    if find_spec("pytest_cov"):
        flags += ["--no-cov"]
    if find_spec("hypothesis"):
        os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", os.path.join(spec.scratch, "hypothesis"))
    return flags
