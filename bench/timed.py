"""Runs inside the Python under test: loads a workload by path, runs it TIMES over, prints what it took.

    timed.py WORKLOAD TIMES [plain | count | pysnooper | snoop | hunter | viztracer | coverage]

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


def decorate(functions, decorator):
    for owner, name in functions:
        setattr(owner, name, decorator(getattr(owner, name)))


def throw_away():
    """An open file: PySnooper opens a named one for every line, and an open one is the kinder case for it."""
    import tempfile

    return tempfile.TemporaryFile("w", encoding="utf-8")


def use_pysnooper(workload):
    import pysnooper

    decorate(workload.functions(), pysnooper.snoop(throw_away()))


def use_snoop(workload):
    import snoop

    snoop.install(out=throw_away(), color=False)
    decorate(workload.functions(), snoop.snoop)


def use_hunter(workload):
    """Every line with the variables of its frame, the nearest that hunter has to what is recorded here."""
    import hunter

    where = hunter.Q(filename_startswith=tuple(workload.TRACED))
    hunter.trace(where, actions=[hunter.VarsSnooper(stream=throw_away())])


def use_viztracer(workload):
    """Calls only, with arguments and returned values: it does not see lines."""
    from viztracer import VizTracer

    VizTracer(log_func_args=True, log_func_retval=True, verbose=0).start()


def use_coverage(workload):
    """Which lines ran, and no values."""
    import coverage

    coverage.Coverage(data_file=None, include=[f"{each}*" for each in workload.TRACED]).start()


PEERS = {
    "pysnooper": use_pysnooper,
    "snoop": use_snoop,
    "hunter": use_hunter,
    "viztracer": use_viztracer,
    "coverage": use_coverage,
}


def main(path, times, mode="plain"):
    workload = load(path)
    if mode == "count":
        print(json.dumps({"lines": count_lines(workload.run, tuple(workload.TRACED))}))
        return
    if mode in PEERS:
        PEERS[mode](workload)
    begun = time.perf_counter()
    for _ in range(int(times)):
        workload.run()
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(*sys.argv[1:])
