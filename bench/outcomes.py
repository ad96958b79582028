"""A pytest plugin for `bench.suites`: writes test -> outcome as JSON into the file that OUTCOMES names.

Standard library only: it runs inside the environment of the suite. The words are those of a trace log.
"""

import json
import os

_found = {}


def pytest_runtest_logreport(report):
    if report.failed:
        _found[report.nodeid] = "failed" if report.when == "call" else "error"
    elif report.skipped:
        _found[report.nodeid] = "skipped"
    else:
        _found.setdefault(report.nodeid, "passed")


def pytest_collectreport(report):
    if report.failed:
        _found[report.nodeid or "collection"] = "error"


def pytest_sessionfinish():
    with open(os.environ["OUTCOMES"], "w", encoding="utf-8") as file:
        json.dump(_found, file)
