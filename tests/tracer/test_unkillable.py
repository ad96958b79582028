"""What a program may do on save, row by row: it ends within its limit, no process of it stays behind, its
last line is known, the log has the event of that very line, so that nothing was lost, and the next run works.
`nothing_left_behind` of conftest.py looks after each test.

In each program the comment `# HERE` marks the lines of which one must be the last that is known to have
run. Rows that could hurt a machine are bounded in the program itself too.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from attrs import evolve, field, frozen

from backtrail_probe.wire import ProcessLimits, RecordLimits
from backtrail_tracer import bubblewrap
from backtrail_tracer.bubblewrap import Bubblewrap
from backtrail_tracer.entries import Entry
from backtrail_tracer.interpreter import Interpreter
from backtrail_tracer.questions import executed
from backtrail_tracer.sandbox import scratch_folder
from backtrail_tracer.session import Session
from backtrail_tracer.trace import Trace
from tests import pythons
from tests.tracer.trees import write

posix = pytest.mark.skipif(sys.platform == "win32", reason="the programs are written for POSIX")
pytestmark = posix

FOUND = bubblewrap.find()
sandboxed = pytest.mark.skipif(not isinstance(FOUND, Bubblewrap), reason=str(FOUND))


@frozen
class Row:
    """`ends` is the status of the run; `timeout` rows go on until their limit."""

    source: str
    ends: str
    says: str = ""
    limits: dict[str, float] = field(factory=dict)
    allow: tuple[str, ...] = ()


ROWS = {
    "endless loop": Row(
        """
        n = 0
        while True:  # HERE
            n += 1  # HERE
        """,
        "timeout",
        "wallSeconds",
    ),
    "endless loop by its CPU time": Row(
        """
        while True:  # HERE
            pass  # HERE
        """,
        "timeout",
        "cpuSeconds",
        {"cpu_s": 0.5, "wall_s": 120.0},
    ),
    "a hang after a long loop": Row(
        """
        import time
        total = 0
        while total < 100_000:
            total += 1
        time.sleep(60)  # HERE
        """,
        "timeout",
    ),
    "a crash after a long loop": Row(
        """
        import ctypes
        total = 0
        while total < 100_000:
            total += 1
        ctypes.string_at(0)  # HERE
        """,
        "died",
    ),
    "10 GB of output": Row(
        """
        for _ in range(1_000_000):  # HERE
            print("x" * 10_000)  # HERE
        """,
        "killed",
        "printed more than",
    ),
    "os._exit": Row("import os\nos._exit(7)  # HERE\n", "died"),
    "SIGKILL": Row("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)  # HERE\n", "died"),
    "SIGTERM": Row("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)  # HERE\n", "died"),
    "segmentation fault": Row("import ctypes\nctypes.string_at(0)  # HERE\n", "died"),
    "abort": Row("import os\nos.abort()  # HERE\n", "died"),
    "stack overflow in C": Row(
        """
        import ctypes
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        sort = ctypes.CDLL(None).qsort
        import sys
        sys.setrecursionlimit(10**8)

        def compare(a, b):  # HERE
            down()  # HERE
            return 0

        back = kind(compare)
        pair = (ctypes.c_int * 2)(2, 1)

        def down():  # HERE
            sort(pair, 2, 4, back)  # HERE

        down()  # HERE
        """,
        "died|killed|failed",
    ),
    "RecursionError": Row("def down(n):\n    return down(n + 1)  # HERE\ndown(0)\n", "failed"),
    "fork bomb": Row(
        """
        import os, time
        for generation in range(8):  # HERE
            os.fork()  # HERE
        time.sleep(60)  # HERE
        """,
        "killed",
        "more than 12 processes",
        {"processes": 12},
    ),
    "fork bomb that leaves its group": Row(
        """
        import os, time
        for generation in range(7):  # HERE
            if os.fork() == 0:  # HERE
                os.setsid()  # HERE
        time.sleep(60)  # HERE
        """,
        "killed",
        "more than 12 processes",
        {"processes": 12},
    ),
    "10 GB of memory": Row(
        """
        import time
        taken = []
        for _ in range(160):  # HERE
            taken.append(bytearray(b"1") * 2**26)  # HERE
        time.sleep(60)  # HERE
        """,
        "killed",
        "256 MB of memory",
        {"memory_bytes": 2**28},
    ),
    "all descriptors closed": Row(
        "import os, time\nos.closerange(0, 65536)\nwhile True:  # HERE\n    time.sleep(1)  # HERE\n",
        "timeout",
    ),
    "no stdout": Row(
        "import sys\nsys.stdout = sys.stderr = None\nprint('x')\nlast = 1  # HERE\n", "completed"
    ),
    "builtins replaced": Row(
        """
        import builtins
        for name in ("len", "open", "dict", "type", "isinstance", "getattr", "str", "list", "int", "print"):
            setattr(builtins, name, None)
        builtins.__import__ = None
        last = 1  # HERE
        """,
        "completed",
    ),
    "os and time mocked": Row(
        """
        import os, time
        for module in (os, time):
            for name in dir(module):
                if callable(getattr(module, name)) and not isinstance(getattr(module, name), type):
                    setattr(module, name, lambda *a, **k: 0)
        last = 1  # HERE
        """,
        "completed|failed|died",
    ),
    "blocked in C": Row("total = sum(range(10**12))  # HERE\n", "timeout"),
    "blocked in C with the lock of the interpreter": Row(
        "import re\nre.match('(a+)+$', 'a' * 60 + 'b')  # HERE\n", "timeout"
    ),
    "deadlock": Row(
        "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()  # HERE\n", "timeout"
    ),
    "stopped by SIGSTOP": Row("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)  # HERE\n", "timeout"),
    "reads stdin": Row("word = input()  # HERE\n", "failed"),
    "daemon threads": Row(
        """
        import threading, time
        for _ in range(4):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        last = 1  # HERE
        """,
        "completed",
    ),
    "a thread that never ends": Row(
        """
        import threading

        def work():
            while True:  # HERE
                pass  # HERE

        threading.Thread(target=work).start()  # HERE
        """,
        "timeout",
    ),
    "an exit handler that never ends": Row(
        """
        import atexit, time

        def handler():
            time.sleep(60)  # HERE

        atexit.register(handler)
        last = 1
        """,
        "timeout",
    ),
    "SIGINT handled": Row(
        """
        import os, signal
        signal.signal(signal.SIGINT, lambda *_: None)
        os.kill(os.getpid(), signal.SIGINT)
        last = 1  # HERE
        """,
        "completed",
    ),
    "SIGTERM ignored": Row(
        """
        import signal, time
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        time.sleep(60)  # HERE
        """,
        "timeout",
    ),
    "SIGALRM in use": Row(
        """
        import signal, time

        def ring(*_):
            raise TimeoutError

        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            time.sleep(60)
        except TimeoutError:
            last = 1  # HERE
        """,
        "completed",
    ),
    "chdir, and its own file removed": Row(
        """
        import os
        os.remove(__file__)
        os.chdir("/")
        last = 1  # HERE
        """,
        "completed",
        allow=("write:.",),
    ),
}


def entry_of(path: Path, kind: str = "script") -> Entry:
    return Entry(f"{kind}:{path.name}", kind, (str(path),), (), path.parent, "", "", (path,))  # type: ignore[arg-type]


# What ends otherwise in a namespace of its own; the other rows are run there by `make test-all`.
IN_A_SANDBOX = {"fork bomb", "10 GB of output", "SIGKILL", "a hang after a long loop", "stopped by SIGSTOP"}


def cases() -> Iterator[object]:
    for name in ROWS:
        yield pytest.param(name, "off", id=f"{name}, guard")
        marks = [sandboxed] if name in IN_A_SANDBOX else [sandboxed, pytest.mark.long]
        yield pytest.param(name, "auto", marks=marks, id=f"{name}, sandbox")


@cache
def pace() -> float:
    """Seconds that the smallest run takes now: what this machine, under its load, makes everything wait."""
    with scratch_folder() as folder:
        path = write(folder, {"small.py": "x = 1\n"}) / "small.py"
        session = Session(Interpreter(Path(sys.executable), "a test"), folder, sandbox="off")
        begun = time.monotonic()
        asyncio.run(session.run(entry_of(path)))
        return time.monotonic() - begun


def last_line(trace: Trace) -> int:
    """The line that ran last: as the program said itself, else as far as was recorded."""
    return trace.place[1] if trace.place else max(trace.hits, key=lambda hit: hit.order).line


@pytest.mark.parametrize(("name", "mode"), list(cases()))
def test_a_row(name: str, mode: str, session: Session) -> None:
    row = ROWS[name]
    path = write(session.root, {"work.py": row.source}) / "work.py"
    here = [n for n, line in enumerate(path.read_text().splitlines(), 1) if line.endswith("# HERE")]
    limit = 0.7 + 4 * pace()
    limits = ProcessLimits(**{"wall_s": limit, **row.limits})  # type: ignore[arg-type]
    allow = [each.replace("write:.", f"write:{session.root}") for each in row.allow]
    bound = evolve(session, sandbox=mode, allow=allow)  # type: ignore[arg-type]
    trace, seconds = asyncio.run(timed(bound, entry_of(path), limits))
    assert trace.status in row.ends.split("|"), (trace.status, trace.message, trace.stderr[-2000:])
    assert row.says in trace.message
    assert last_line(trace) in here, (last_line(trace), trace.limits, trace.loose_ends)
    # Up to 3.11 a frame is let go after a long loop: that is told by a cap at line 0.
    assert {last_line(trace), 0} & executed(trace, path), "the event of the last line is lost"
    assert seconds < limit + 1 + 8 * pace(), f"took {seconds:.2f} s with a limit of {limit:.2f} s"
    following = write(session.root, {"next.py": "y = 2\n"}) / "next.py"
    trace, _ = asyncio.run(timed(evolve(bound, allow=()), entry_of(following), ProcessLimits(wall_s=60)))
    assert trace.status == "completed", (trace.message, trace.stderr)


async def timed(session: Session, entry: Entry, limits: ProcessLimits) -> tuple[Trace, float]:
    begun = time.monotonic()
    trace = (await session.run(entry, process_limits=limits)).trace
    return trace, time.monotonic() - begun


LOSES = """
    import ctypes, os, signal, sys, time

    def count(told):
        end = time.monotonic() + 0.3
        n = 0
        while time.monotonic() < end:
            n += 1
            os.pwrite(told, b"%d" % n, 0)
        {end}

    count(os.open(os.environ["TOLD"], os.O_WRONLY))
"""
SUDDEN = {
    "os._exit": "os._exit(7)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "segmentation fault": "ctypes.string_at(0)",
    "abort": "os.abort()",
    "closed descriptors": "os.closerange(0, 65536), os._exit(7)",
    "wall limit": "time.sleep(60)",
    "memory": "[bytearray(b'1') * 2**26 for _ in range(24)], time.sleep(60)",
    "endless output": "[print('x' * 10_000) for _ in range(1_000_000)]",
    "an exception": "1 / 0",
    "sys.exit": "sys.exit(3)",
}
"""What each way to end leaves to be read: nothing may be kept back in memory until then."""


@pytest.mark.parametrize(
    ("way", "python"),
    [
        *((way, pythons.newest()) for way in SUDDEN),
        ("SIGKILL", pythons.settrace()),
        ("SIGKILL", pythons.monitoring()),
    ],
)
def test_what_was_recorded_before_a_sudden_end_is_there(way: str, python: str | None, tmp_path: Path) -> None:
    """Of the last 20 ms too: the last event of all is known."""
    if python is None:
        pytest.skip(f"Python {', '.join(pythons.missing())} could not be found")
    told = tmp_path / "told"
    told.touch()
    source = LOSES.format(end=SUDDEN[way])
    path = write(tmp_path, {"work.py": source}) / "work.py"
    session = Session(
        Interpreter(Path(python), "found by the tests"),
        tmp_path,
        allow=[f"write:{told}"],
        environ={**os.environ, "TOLD": str(told)},
        sandbox="off",
    )
    record = RecordLimits(hits_per_line=0, events=0, log_bytes=0)
    limits = ProcessLimits(wall_s=2.0 + 4 * pace(), memory_bytes=2**28)
    trace = asyncio.run(session.run(entry_of(path), record_limits=record, process_limits=limits)).trace
    assert trace.status != "completed", trace.message
    assert trace.loose_ends == ()
    counts = [int(hit.changed["n"].text) for hit in trace.hits if "n" in hit.changed]
    assert counts == list(range(int(told.read_text()) + 1))
    last = next(n for n, line in enumerate(path.read_text().splitlines(), 1) if SUDDEN[way] in line)
    assert last in {hit.line for hit in trace.hits[-3:]}


def test_a_crash_in_a_test_is_told_by_its_line(session: Session) -> None:
    """Of this pytest itself tells on stderr, as it does without us."""
    source = """
        import ctypes

        def test_crash():
            total = 0
            while total < 100_000:
                total += 1
            ctypes.string_at(0)
    """
    path = write(session.root, {"test_work.py": source}) / "test_work.py"
    run = session.run(entry_of(path, "pytest"), process_limits=ProcessLimits(wall_s=60))
    trace = asyncio.run(run).trace
    assert trace.status == "died" and "SIGSEGV" in trace.message
    assert trace.place == (path, 7)
    assert "Fatal Python error: Segmentation fault" in trace.stderr


def test_a_program_that_uses_the_signals_and_the_faulthandler_itself_keeps_them(session: Session) -> None:
    source = """
        import faulthandler, os, signal, tempfile
        with tempfile.TemporaryFile() as file:
            faulthandler.enable(file)
            faulthandler.register(signal.SIGUSR1, file)
            os.kill(os.getpid(), signal.SIGUSR1)
            file.seek(0)
            assert b"work.py" in file.read()
            faulthandler.unregister(signal.SIGUSR1)
            faulthandler.disable()
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            assert signal.getsignal(number) is not None
    """
    path = write(session.root, {"work.py": source}) / "work.py"
    trace = asyncio.run(session.run(entry_of(path), process_limits=ProcessLimits(wall_s=60))).trace
    assert trace.status == "completed", trace.stderr


def test_output_that_pytest_takes_for_itself_is_bounded_too(session: Session) -> None:
    """It goes to a file and never comes by the server."""
    source = """
        def test_chatty():
            for _ in range(1_000_000):
                print("x" * 10_000)

        def test_after():
            pass
    """
    path = write(session.root, {"test_work.py": source}) / "test_work.py"
    limits = ProcessLimits(wall_s=60, file_bytes=4 * 2**20)
    run = session.run(
        entry_of(path, "pytest"), process_limits=limits, record_limits=RecordLimits(log_bytes=2**20)
    )
    trace = asyncio.run(run).trace
    assert [item.outcome for item in trace.items] == ["failed", "passed"], trace
    assert "File too large" in trace.failures[0].message
    assert trace.failures[0].where is not None and trace.failures[0].where.line == 3
