"""However a program ends or misbehaves, what was recorded before is in the log."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from backtrail_probe.wire import ProcessLimits, RecordLimits
from tests.probe.harness import LAUNCH, TWO, make_spec, python, read_log, run_probe, steps, write_files

HEAD = "import os, signal, sys, time\nreached = 'here'\n"

ENDS = {
    "os_exit": ("os._exit(7)", 7),
    "sigkill": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "sigterm": ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    "segfault": ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
    "abort": ("os.abort()", -signal.SIGABRT),
    "closed_descriptors": ("os.closerange(0, 4096); os._exit(7)", 7),
    "exec_style_exit_in_thread": (
        "import threading; threading.Thread(target=os._exit, args=(7,)).start(); time.sleep(9)",
        7,
    ),
}
GOES_ON = {
    "closed_descriptors": "os.closerange(3, 4096)",
    "no_stdout": "sys.stdout = sys.stderr = None",
    "replaced_builtins": "import builtins as b; b.len = b.open = b.dict = b.type = b.isinstance = None",
    "mocked_time": "time.perf_counter_ns = time.time = lambda: 0; time.sleep = None",
    "mocked_os": "os.open = os.write = os.getpid = os.path.join = None",
    "emptied_modules": "keep = sys; sys.modules.clear()",
    "recursion": "def deep(n): return deep(n + 1)\ntry: deep(0)\nexcept RecursionError: pass",
    "low_recursion_limit": "sys.setrecursionlimit(60)",
    "no_collector": "import gc; gc.disable(); gc.collect()",
    "own_tracer": "sys.settrace(lambda *a: None); sys.settrace(None)",
    "own_profiler": "sys.setprofile(lambda *a: None)",
    "threads": "import threading; t = threading.Thread(target=lambda: reached); t.start(); t.join()",
    "fork": "child = os.fork()\nif child == 0: os._exit(0)\nos.wait()",
    "chdir": "os.chdir('/')",
    "stdin": "assert sys.stdin.read() == ''",
    "atexit": "import atexit; atexit.register(print)",
    "limited_descriptors": "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
}


@pytest.mark.parametrize("version", TWO)
@pytest.mark.parametrize("name", ENDS)
def test_a_sudden_end(tmp_path: Path, name: str, version: str) -> None:
    statement, code = ENDS[name]
    ran = run_probe(tmp_path, HEAD + statement, version=version)
    assert ran.code == code
    assert not ran.of("end")
    assert "<module>:3 reached='here'" in ran.steps()


@pytest.mark.parametrize("version", TWO)
@pytest.mark.parametrize("name", GOES_ON)
def test_going_on(tmp_path: Path, name: str, version: str) -> None:
    source = f"{HEAD}{GOES_ON[name]}\nlast = 'seen'\nlast\n"
    ran = run_probe(tmp_path, source, version=version)
    assert ran.end["status"] == "completed", ran.err
    told = [record[1] for record in ran.of("limit")]
    ends_early = {"own_tracer": "the program set a tracer of its own", "recursion": "the limit of recursion"}
    told = [each for each in told if each not in ("depth", "forked children")]
    if told:
        assert ran.records[0][1]["recorder"] == "settrace"
        assert ends_early[name] in told[0]
    else:
        assert ran.last_values()["last"][1] == "'seen'"


@pytest.mark.parametrize("version", TWO)
@pytest.mark.parametrize(
    ("body", "last"),
    [
        ("while True:\n    n += 1", "<module>:"),
        ("time.sleep(60)", "<module>:4"),
        ("sum(range(10**12))", "<module>:4"),
    ],
)
def test_killed_from_outside(tmp_path: Path, version: str, body: str, last: str) -> None:
    folder = tmp_path / "project"
    write_files(folder, {"main.py": f"import time\nn = 0\nprint('go', flush=True)\n{body}\n"})
    spec = make_spec(folder, "script", "main.py")
    program = subprocess.Popen([python(version), str(LAUNCH), str(spec)], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None and program.stdout.readline() == "go\n"
    time.sleep(0.3)
    program.kill()
    program.communicate()
    found = list(steps(read_log(spec.parent / "log")))
    assert found[-1].startswith(last), found


@pytest.mark.skipif(os.name != "posix", reason="RLIMIT_CPU is POSIX")
def test_the_cpu_limit_holds_from_inside(tmp_path: Path) -> None:
    ran = run_probe(tmp_path, "while True: pass", process_limits=ProcessLimits(cpu_s=1))
    assert ran.code == -signal.SIGXCPU


def test_a_full_log_keeps_room_for_the_end(tmp_path: Path) -> None:
    source = "def f(n):\n    text = 'x' * 50 + str(n)\n    return text\nfor i in range(20000): f(i)\n1 / 0\n"
    limits = RecordLimits(hits_per_line=0, calls_per_function=0, events=0, log_bytes=1024 * 1024)
    ran = run_probe(tmp_path, source, record_limits=limits)
    assert [record[1:3] for record in ran.of("limit")] == [["bytes", 1024 * 1024]]
    assert ran.failures[0]["type"] == "ZeroDivisionError"
    assert ran.end["status"] == "failed"


@pytest.mark.parametrize("version", TWO)
def test_the_limits_of_recording(tmp_path: Path, version: str) -> None:
    source = """
        def f(n):
            if n > 14:
                rare = n
            return n
        for i in range(30):
            f(i)
        def deep(n):
            return deep(n - 1) if n else 0
        deep(5)
    """
    limits = RecordLimits(hits_per_line=10, calls_per_function=4, depth=3)
    ran = run_probe(tmp_path, source, version=version, record_limits=limits)
    codes = {record[1]: record[3] for record in ran.of("code")}
    calls = [codes[record[3]] for record in ran.of("call")]
    assert calls.count("f") >= 5  # four on time, and late ones for the line that the first fourteen missed
    late = [record for record in ran.of("call") if record[7]]
    assert late and all(codes[record[3]] == "f" for record in late)
    assert "rare" in ran.last_values()
    capped = {(codes[record[1]], record[2], record[3]) for record in ran.of("cap")}
    assert {("f", 3, 10), ("f", 5, 10), ("<module>", 6, 10), ("<module>", 7, 10)} <= capped
    assert [record[1:3] for record in ran.of("limit")] == [["depth", 3]]
    hits = [record[3] for record in ran.of("line") if record[2] == 7]
    assert hits == list(range(1, 11))


def test_the_limit_of_events(tmp_path: Path) -> None:
    limits = RecordLimits(hits_per_line=0, events=50)
    for version in TWO:
        ran = run_probe(
            tmp_path, "for i in range(100):\n    x = i\n1/0\n", version=version, record_limits=limits
        )
        # Hits in a long row are counted in advance, fifteen at a time: it may stop early, never late.
        kept = len(ran.of("call", "line", "again", "return", "raise", "unwind"))
        assert 50 - 15 <= kept <= 50, kept
        assert [record[1:3] for record in ran.of("limit")] == [["events", 50]]
        assert ran.failures
