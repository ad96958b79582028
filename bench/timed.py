"""Runs inside the Python under test: loads a workload by path, runs it TIMES over, prints what it took.

    timed.py WORKLOAD TIMES [plain | count | pysnooper]

Standard library only, Python 3.9 and newer. It lies outside the traced folders, so that the clock is
not traced.
"""

import importlib.util
import json
import sys
import time


def load(path):
    spec = importlib.util.spec_from_file_location("workload", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["workload"] = module
    spec.loader.exec_module(module)
    return module


def count_lines(run, wanted):
    """How many line events one `run` has in the wanted files and folders."""
    count = 0

    def local(_frame, event, _value):
        nonlocal count
        count += event == "line"
        return local

    def entered(frame, _event, _value):
        return local if frame.f_code.co_filename.startswith(wanted) else None

    sys.settrace(entered)
    run()
    sys.settrace(None)
    return count


def snoop(functions):
    """Puts PySnooper on each (owner, name), its output into a file that is thrown away."""
    import tempfile

    import pysnooper

    # PySnooper opens a named file for every line; an open one is the kinder case for it.
    output = tempfile.TemporaryFile("w", encoding="utf-8")  # noqa: SIM115 - it lives as long as the process
    for owner, name in functions:
        setattr(owner, name, pysnooper.snoop(output)(getattr(owner, name)))


def main(path, times, mode="plain"):
    workload = load(path)
    if mode == "count":
        print(json.dumps({"lines": count_lines(workload.run, tuple(workload.TRACED))}))
        return
    if mode == "pysnooper":
        snoop(workload.functions())
    begun = time.perf_counter()
    for _ in range(int(times)):
        workload.run()
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(*sys.argv[1:])
