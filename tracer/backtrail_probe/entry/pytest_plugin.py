"""The pytest plugin: tells the report of items, outcomes and failures.

Written with old-style hook wrappers, which every pytest from 6.2 on understands.
"""

from __future__ import annotations

import os

import pytest

from backtrail_probe import comparison, statics
from backtrail_probe.overlay import Overlay
from backtrail_probe.report import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional, Tuple


class Plugin:
    """`items` counts the tests that began, `notes` says what of the project's options was neutralised."""

    def __init__(self, report: Report, overlay: Overlay) -> None:
        self._report = report
        self._overlay = overlay
        self._current = 0
        self._outcome: "Tuple[str, str]" = ("passed", "")
        self._compared: "Optional[Tuple[str, str]]" = None
        self.items = 0
        self.stopped = False
        self.notes: "List[str]" = []
        self.targets: "List[str]" = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: Any) -> None:
        self.targets = [str(each) for each in config.args]
        for option, what in (("xmlpath", "--junitxml"), ("htmlpath", "--html"), ("log_file", "--log-file")):
            if getattr(config.option, option, None):
                setattr(config.option, option, None)
                self.notes.append(f"{what} was left out")
        addopts = " ".join([*config.getini("addopts"), os.environ.get("PYTEST_ADDOPTS", "")])
        if "-n" in addopts.split() or "--numprocesses" in addopts:
            self.notes.append("run in one process, without xdist")
        if "--cov" in addopts:
            self.notes.append("run without coverage")

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        self.items += 1
        self._outcome, self._compared = ("passed", ""), None
        path, line = _place(item)
        self._current = self._report.begin(item.nodeid, path, line)
        yield
        self._report.done(self._current, *self._outcome)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        made = yield
        report = made.get_result()
        if report.skipped:
            self._outcome = ("skipped", _reason(report))
        elif report.failed:
            self._failed(report, call)

    def pytest_assertrepr_compare(self, config: Any, op: str, left: Any, right: Any) -> None:
        """pytest hands over the operands of a comparison that failed; the text of it stays pytest's."""
        self._compared = self._report.render(left), self._report.render(right)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: Any) -> Any:
        made = yield
        report = made.get_result()
        call = getattr(report, "call", None)
        if report.failed:
            item = self._report.begin(report.nodeid or "collection", str(_path_of(collector)), 0)
            excinfo = getattr(call, "excinfo", None)
            message = ""
            if excinfo is not None:
                self._report.failure(item, _collection_cause(excinfo.value))
                message = self._note_blocked(excinfo.value)
            self._report.done(item, "stopped" if message else "error", message)

    def _failed(self, report: Any, call: Any) -> None:
        outcome = "failed" if report.when == "call" else "error"
        if self._outcome[0] in ("failed", "error", "stopped"):
            outcome = self._outcome[0]
        message = ""
        if call.excinfo is None:
            message = str(report.longrepr)  # a strict xfail that passed has no exception
        else:
            exc = call.excinfo.value
            blocked = self._note_blocked(exc)
            outcome, message = ("stopped", blocked) if blocked else (outcome, "")
            expected, actual = comparison.operands(exc, self._compared, self._report.render)
            self._report.failure(self._current, exc, expected, actual)
        self._outcome = (outcome, message)

    def _note_blocked(self, exc: BaseException) -> str:
        if statics.type_name(type(exc)) != "SideEffectBlocked":
            return ""
        self.stopped = True
        return str(exc)


def _place(item: Any) -> "Tuple[str, int]":
    """Path and 1-based line of a test."""
    line = item.location[1]
    return str(_path_of(item)), 0 if line is None else line + 1


def _path_of(node: Any) -> Any:
    return getattr(node, "path", None) or getattr(node, "fspath", "")


def _reason(report: Any) -> str:
    if hasattr(report, "wasxfail"):
        return f"xfail: {report.wasxfail}".rstrip(": ")
    longrepr = report.longrepr
    return str(longrepr[2]) if isinstance(longrepr, tuple) and len(longrepr) == 3 else str(longrepr)


def _collection_cause(exc: BaseException) -> BaseException:
    """pytest wraps what went wrong at import in an error of its own, without the user's frames."""
    cause = statics.previous_exception(exc)
    return cause if cause is not None and type(exc).__name__ == "CollectError" else exc
