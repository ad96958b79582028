"""A program that traces, monitors, measures or debugs itself does so as without us; where the recorder has
to give way, the trace says so."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.probe.harness import ALL, NEWEST_TWO_RECORDERS, Ran, python, run_probe

each_recorder = pytest.mark.parametrize(("version", "recorder"), NEWEST_TWO_RECORDERS)
NEW = [version for version in ALL if int(version.split(".")[1]) >= 12]
GAP = "other tracer"
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
ENDED = "the program set a tracer of its own, which ended the recording"

WORK = """
def work(n):
    total = 0
    for i in range(n):
        total += i
    return total
"""

PROGRAMS = {
    "settrace": """
        import sys
        from work import work
        seen = []
        def tracer(frame, event, arg):
            if frame.f_code.co_name == "work":
                seen.append((event, frame.f_lineno, arg if event == "return" else None))
                return tracer
        sys.settrace(tracer)
        work(2)
        sys.settrace(None)
        print(seen, sys.gettrace())
    """,
    "local tracer": """
        import sys
        from work import work
        lines = []
        class Tracer:
            def __call__(self, frame, event, arg):
                frame.f_trace_opcodes = False
                return self.local if frame.f_code is work.__code__ else None
            def local(self, frame, event, arg):
                lines.append(event)
                return self.local
        before = sys.gettrace()
        sys.settrace(Tracer())
        work(1)
        sys.settrace(before)
        print(lines)
    """,
    "threading": """
        import threading
        from work import work
        seen = []
        def tracer(frame, event, arg):
            seen.append(frame.f_code.co_name)
        threading.settrace(tracer)
        thread = threading.Thread(target=work, args=(1,))
        thread.start(); thread.join()
        threading.settrace(None)
        print("work" in seen)
    """,
    "profile": """
        import cProfile, pstats, io, sys
        from work import work
        profile = cProfile.Profile()
        profile.runcall(work, 3)
        calls = {name: row[0] for (_, _, name), row in pstats.Stats(profile).stats.items()}
        seen = []
        def profiler(frame, event, arg):
            if frame.f_code is work.__code__: seen.append(event)
        sys.setprofile(profiler)
        work(1)
        sys.setprofile(None)
        print(calls["work"], seen)
    """,
    "trace module": """
        import trace
        from work import work
        found = trace.Trace(count=1, trace=0)
        found.runfunc(work, 2)
        counts = found.results().counts
        print(sorted((line, n) for (path, line), n in counts.items() if path.endswith("work.py")))
    """,
    "pdb": """
        import io, pdb
        from work import work
        said = io.StringIO()
        typed = io.StringIO("step\\nstep\\nnext\\np total, n\\nwhere\\ncontinue\\n")
        debugger = pdb.Pdb(stdin=typed, stdout=said)
        debugger.use_rawinput = False
        debugger.runcall(work, 2)
        text = said.getvalue()
        print(text.count("(Pdb)"), "(0, 2)" in text, "total += i" in text)
    """,
    "breakpoint": """
        import sys
        from work import work
        hits = []
        sys.breakpointhook = lambda: hits.append(sys._getframe(1).f_lineno)
        def f():
            n = work(2)
            breakpoint()
            return n
        print(f(), hits)
    """,
    "bdb": """
        import bdb
        from work import work
        class Debugger(bdb.Bdb):
            def user_line(self, frame):
                if frame.f_code.co_name == "work":
                    lines.append(frame.f_lineno)
                self.set_step()
        lines = []
        Debugger().runcall(work, 1)
        print(lines)
    """,
}
TAKES_OVER = {"settrace", "trace module", "pdb", "bdb"}
"""They leave no tracer behind; the others that use one give ours back, or have it in other threads only."""


def plain(folder: Path, version: str) -> str:
    """What the program says without us."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python(version), "main.py"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines_of(ran: Ran, function: str) -> int:
    names = {record[1] for record in ran.of("code") if record[3] == function}
    frames = {record[1] for record in ran.of("call") if record[3] in names}
    return sum(record[1] in frames for record in ran.of("line"))


@each_recorder
@pytest.mark.parametrize("name", PROGRAMS)
def test_it_sees_what_it_sees_without_us(tmp_path: Path, name: str, version: str, recorder: str) -> None:
    files = {"main.py": PROGRAMS[name], "work.py": WORK}
    ran = run_probe(tmp_path, files, version=version, recorder=recorder)
    assert ran.end["status"] == "completed", ran.err
    assert ran.out == plain(tmp_path / "project", version)
    limits = [record[1] for record in ran.of("limit")]
    if recorder == "settrace" and name in TAKES_OVER:
        assert limits == [ENDED]
    elif recorder == "settrace" and name in ("local tracer", "threading"):
        assert limits == [GAP]
    else:
        assert limits == []
        assert lines_of(ran, "work") > 3, "our own recording goes on beside it"


MONITORING = """
    import sys
    from work import work
    seen = []
    monitoring, wanted = sys.monitoring, sys.monitoring.events
    free = [n for n in range(6) if monitoring.get_tool(n) is None]
    tool = free[0]
    monitoring.use_tool_id(tool, "mine")
    def line(code, number):
        seen.append(number)
        return monitoring.DISABLE if number == 5 else None
    monitoring.register_callback(tool, wanted.LINE, line)
    monitoring.set_local_events(tool, work.__code__, wanted.LINE)
    work(3)
    monitoring.restart_events()
    work(1)
    monitoring.set_local_events(tool, work.__code__, 0)
    monitoring.free_tool_id(tool)
    print(seen, monitoring.get_tool(tool))
"""


@pytest.mark.skipif(not NEW, reason="no Python with sys.monitoring")
@pytest.mark.parametrize("recorder", ["monitoring", "settrace"])
def test_a_tool_of_its_own(tmp_path: Path, recorder: str) -> None:
    ran = run_probe(tmp_path, {"main.py": MONITORING, "work.py": WORK}, version=NEW[-1], recorder=recorder)
    assert ran.end["status"] == "completed", ran.err
    assert ran.out == plain(tmp_path / "project", NEW[-1])
    assert ran.of("limit") == [] and lines_of(ran, "work") > 10


ALL_IDS = """
    import sys
    for number in range(6):
        if number != 4:
            sys.monitoring.use_tool_id(number, f"mine {number}")
    print(sys.monitoring.get_tool(4))
"""


@pytest.mark.skipif(not NEW, reason="no Python with sys.monitoring")
def test_the_one_id_that_is_taken_says_by_whom(tmp_path: Path) -> None:
    """The ids that are set aside for debuggers, coverage, profilers and optimizers are the program's."""
    ran = run_probe(tmp_path, ALL_IDS, version=NEW[-1])
    assert (ran.out, ran.end["status"]) == ("backtrail\n", "completed")


COVERAGE = """
    import coverage
    found = coverage.Coverage(data_file=None, include=["work.py"])
    found.start()
    import work
    work.work(2)
    found.stop()
    _, lines, _, missing, _ = found.analysis2("work.py")
    print(lines, missing, coverage.__version__)
"""


@pytest.mark.skipif(not importlib.util.find_spec("coverage"), reason="coverage is not installed")
def test_coverage_from_within(tmp_path: Path) -> None:
    """Its tracer has the right of way: the measured lines are right, and the trace says what it ended."""
    ran = run_probe(tmp_path, {"main.py": COVERAGE, "work.py": WORK})
    assert ran.end["status"] == "completed", ran.err
    assert ran.out == plain(tmp_path / "project", HERE)
    assert ran.out.startswith("[2, 3, 4, 5, 6] []")
    monitors = ran.records[0][1]["recorder"] == "monitoring"
    assert [record[1] for record in ran.of("limit")] == ([] if monitors else [ENDED])


PYTEST = """
    import sys
    from work import work
    def test_traces():
        seen = []
        before = sys.gettrace()
        sys.settrace(lambda frame, event, arg: seen.append(event))
        work(1)
        sys.settrace(before)
        assert seen
    def test_after():
        total = work(3)
        assert total == 3
"""


@each_recorder
def test_one_test_with_a_tracer_does_not_cost_the_others_their_trace(
    tmp_path: Path, version: str, recorder: str
) -> None:
    if subprocess.run([python(version), "-c", "import pytest"], stderr=-3, check=False).returncode:
        version = HERE
        recorder = "settrace"
    files = {"test_it.py": PYTEST, "work.py": WORK}
    environ = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = run_probe(tmp_path, files, "pytest", version=version, recorder=recorder, environ=environ)
    assert set(ran.outcomes.values()) == {"passed"}, ran.out
    after = ran.records[[record[:2] for record in ran.records].index(["item", 2]) :]
    assert any(record[0] == "line" and "total" in record[5] for record in after)


DEBUGPY = """
    import sys
    sys.path.append(sys.argv[1])
    import debugpy
    debugpy.listen(("127.0.0.1", 0), in_process_debug_adapter=True)
    from work import work
    debugpy.debug_this_thread()
    print(work(3), debugpy.is_client_connected())
"""


@each_recorder
def test_a_program_that_lets_debuggers_in(tmp_path: Path, version: str, recorder: str) -> None:
    spec = importlib.util.find_spec("debugpy")
    assert spec is not None and spec.origin is not None
    folder = str(Path(spec.origin).parent.parent)
    files = {"main.py": DEBUGPY, "work.py": WORK}
    ran = run_probe(
        tmp_path, files, version=version, recorder=recorder, args=[folder], allow=["network", "subprocess"],
        environ={"PYDEVD_DISABLE_FILE_VALIDATION": "1"},
    )  # fmt: skip
    assert (ran.out, ran.end["status"]) == ("3 False\n", "completed"), ran.err
    limits = [record[1] for record in ran.of("limit")]
    assert ENDED in limits if recorder == "settrace" else lines_of(ran, "work") > 3
