"""Runs the doctests of one file: of a module's docstrings, or of a text file.

Each docstring is an item. A difference has no exception of the user's: it gets a frame at the
example's line, with the expected and the actual output as values.
"""

from __future__ import annotations

import os
import sys

from backtrail_probe.failures import made_up_frame
from backtrail_probe.overlay import Overlay
from backtrail_probe.report import Report

from . import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List

    from backtrail_probe.wire import RunSpec


def run_doctest(spec: RunSpec, report: Report, overlay: Overlay) -> Outcome:
    import doctest

    path = os.path.abspath(spec.target[0])
    sys.argv[:] = [path, *spec.args]
    try:
        tests = _from_module(path, doctest) if path.endswith(".py") else _from_text(path, overlay, doctest)
    except BaseException as error:
        return _not_loaded(path, error, report)
    runner = _make_runner(doctest, report, path)
    for test in sorted(tests, key=lambda each: each.lineno or 0):
        if test.examples:
            runner.run_item(test)
    if not runner.items:
        return Outcome("usage", 5, f"no doctest examples in {path}")
    return Outcome(
        "stopped" if runner.stopped else "failed" if runner.failed else "completed", int(runner.failed)
    )


def _not_loaded(path: str, error: BaseException, report: Report) -> Outcome:
    item = report.begin(path, path, 0)
    report.failure(item, error)
    stopped = type(error).__name__ == "SideEffectBlocked"
    report.done(item, "stopped" if stopped else "error", str(error) if stopped else "")
    sys.excepthook(type(error), error, error.__traceback__)
    return Outcome("stopped" if stopped else "failed", 1, str(error) if stopped else "")


def _from_module(path: str, doctest: Any) -> "List[Any]":
    """The module under the name that its package gives it, so that relative imports work."""
    from importlib import import_module

    folder, name = os.path.dirname(path), os.path.basename(path)[: -len(".py")]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, package = os.path.split(folder)
        name = package if name == "__init__" else f"{package}.{name}"
    sys.path.insert(0, folder)
    found: "List[Any]" = doctest.DocTestFinder(exclude_empty=True).find(import_module(name))
    return found


def _from_text(path: str, overlay: Overlay, doctest: Any) -> "List[Any]":
    text = overlay.read(path).decode("utf-8")
    name = os.path.basename(path)
    return [doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, name, path, 0)]


def _make_runner(doctest: Any, report: Report, path: str) -> Any:
    """`doctest` is imported late, and so the class is made here."""

    class Runner(doctest.DocTestRunner):  # type: ignore[misc]
        items = 0
        failed = False
        stopped = False

        def run_item(self, test: Any) -> None:
            self.items += 1
            self._outcome, self._message = "passed", ""
            self._item = report.begin(test.name, test.filename or path, (test.lineno or 0) + 1)
            try:
                self.run(test)
            finally:
                report.done(self._item, self._outcome, self._message)

        def report_failure(self, out: Any, test: Any, example: Any, got: str) -> None:
            super().report_failure(out, test, example, got)
            self.failed, self._outcome = True, "failed"
            message = f"expected {example.want.strip()!r}, got {got.strip()!r}"
            values = report.render(example.want.rstrip("\n")), report.render(got.rstrip("\n"))
            report.difference(self._item, message, self._frame(test, example), values)

        def report_unexpected_exception(self, out: Any, test: Any, example: Any, exc_info: Any) -> None:
            super().report_unexpected_exception(out, test, example, exc_info)
            error = exc_info[1]
            self.failed, self._outcome = True, "failed"
            if type(error).__name__ == "SideEffectBlocked":
                self.stopped, self._outcome, self._message = True, "stopped", str(error)
            report.failure(self._item, error, first_frame=self._frame(test, example))

        def _frame(self, test: Any, example: Any) -> str:
            """The example's own frame is that of a nameless piece of code: this one has its place."""
            line = (test.lineno or 0) + example.lineno + 1
            end = line + example.source.rstrip("\n").count("\n")
            span = (line, end, example.indent + len(">>> "), -1)
            return made_up_frame(test.filename or path, span, test.name)

    return Runner(verbose=False)
