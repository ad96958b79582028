"""Child processes: they run as without us, and what they run is in the trace as well."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from backtrail_probe.wire import MOST_CHILDREN, RecordLimits
from backtrail_tracer.reader import Ending, read
from backtrail_tracer.trace import Trace
from tests.probe.harness import ALL, NEWEST_TWO_RECORDERS, TWO, Ran, python, run_probe

NO_CAPS = RecordLimits(hits_per_line=0, calls_per_function=0, events=0, log_bytes=0, depth=0)
each_recorder = pytest.mark.parametrize(("version", "recorder"), NEWEST_TWO_RECORDERS)


def run(folder: Path, files: str | Mapping[str, str], **more: Any) -> tuple[Ran, Trace]:
    ran = run_probe(folder, files, **more)
    trace = read(folder / "project-scratch" / "log", "main", Ending(exit_code=ran.code))
    assert trace.loose_ends == ()
    return ran, trace


def told(ran: Ran) -> list[str]:
    return [record[1] for record in ran.of("limit")]


def calls(trace: Trace, name: str) -> list[tuple[bool, str | None]]:
    """Of a function's calls, in the order of frames: whether in a child, and what came back."""
    return [
        (frame.process > 0, frame.result.text if frame.result else None)
        for frame in trace.frames.values()
        if frame.code.name == name
    ]


def values(trace: Trace, name: str) -> list[tuple[bool, str]]:
    """What a variable became, in the order of time, and whether in a child."""
    return [
        (trace.frames[hit.frame].process > 0, hit.changed[name].text)
        for hit in trace.hits
        if name in hit.changed
    ]


FORK = """
    import os
    def work(n):
        return n * 2
    before = work(1)
    child = os.fork()
    if child == 0:
        in_child = work(20)
        os._exit(in_child)
    _, status = os.waitpid(child, 0)
    after = work(os.waitstatus_to_exitcode(status))
    print(after, flush=True)
"""


@pytest.mark.parametrize("caps", [True, False])
@each_recorder
def test_fork(tmp_path: Path, version: str, recorder: str, caps: bool) -> None:
    limits = {} if caps else {"record_limits": NO_CAPS}
    ran, trace = run(tmp_path, FORK, version=version, recorder=recorder, **limits)
    assert (ran.out, ran.end["status"], ran.code, told(ran)) == ("80\n", "completed", 0, [])
    assert calls(trace, "work") == [(False, "2"), (False, "80"), (True, "40")]
    assert values(trace, "in_child") == [(True, "40")]
    assert values(trace, "before") + values(trace, "after") == [(False, "2"), (False, "80")]
    # One axis of time: what the parent waited for stands before what it did with it.
    in_order = [name for hit in trace.hits for name in hit.changed if name in ("in_child", "after")]
    assert in_order == ["in_child", "after"]
    assert {frame.item for frame in trace.frames.values()} == {1}


def test_a_loop_in_a_child_that_was_forked_out_of_it(tmp_path: Path) -> None:
    """A frame that was recorded before goes on in the child: its later lines are told there."""
    source = """
        import os
        def walk():
            total = 0
            for step in range(6):
                if step == 3 and os.fork():
                    os.wait()
                    return total
                total += step
            os._exit(0)
        walk()
    """
    for version, recorder in NEWEST_TWO_RECORDERS:
        _, trace = run(tmp_path, source, version=version, recorder=recorder)
        own, childs = [(False, text) for text in "013"], [(True, text) for text in ("6", "10", "15")]
        assert values(trace, "total") == own + childs
        numbers = [hit.number for hit in trace.hits if trace.frames[hit.frame].code.name == "walk"]
        lines = [hit.line for hit in trace.hits if trace.frames[hit.frame].code.name == "walk"]
        assert len(set(zip(lines, numbers, strict=True))) == len(lines), "no two hits have one number"


def test_a_child_of_a_child(tmp_path: Path) -> None:
    source = """
        import os
        def deep(n):
            if n and os.fork() == 0:
                deep(n - 1)
                os._exit(0)
            if n:
                os.wait()
            return n
        deep(3)
    """
    for version, recorder in NEWEST_TWO_RECORDERS:
        _, trace = run(tmp_path, source, version=version, recorder=recorder)
        deep = [frame for frame in trace.frames.values() if frame.code.name == "deep" and frame.result]
        returned = [(frame.process, frame.result.text) for frame in deep if frame.result]
        assert sorted(returned) == [(0, "3"), (1, "2"), (2, "1"), (3, "0")]


POOL = """
    import multiprocessing, sys
    def square(n):
        result = n * n
        return result
    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        with context.Pool(2) as pool:
            found = pool.map(square, range(5))
        process = context.Process(target=square, args=(3,))
        process.start()
        process.join(30)
        print(found, process.exitcode, square(6))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@each_recorder
def test_multiprocessing(version: str, recorder: str, method: str) -> None:
    with (
        tempfile.TemporaryDirectory() as short
    ):  # the fork server's socket lies below, whose path has a limit
        ran, trace = run(Path(short), POOL, version=version, recorder=recorder, args=[method])
    assert (ran.out, ran.end["status"], told(ran)) == ("[0, 1, 4, 9, 16] 0 36\n", "completed", []), ran.err
    squares = sorted(calls(trace, "square"))
    assert squares == sorted([(False, "36"), *((True, str(n)) for n in (0, 1, 4, 9, 16, 9))])


EXECUTOR = """
    import concurrent.futures, multiprocessing
    def square(n):
        return n * n
    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            print(list(pool.map(square, range(3))))
"""


@each_recorder
def test_a_process_pool(tmp_path: Path, version: str, recorder: str) -> None:
    ran, trace = run(tmp_path, EXECUTOR, version=version, recorder=recorder)
    assert (ran.out, ran.end["status"], told(ran)) == ("[0, 1, 4]\n", "completed", []), ran.err
    assert sorted(calls(trace, "square")) == [(True, "0"), (True, "1"), (True, "4")]


CHILD = {
    "main.py": """
        import os, subprocess, sys
        command = [sys.executable, *sys.argv[1:]]
        done = subprocess.run(command, capture_output=True, text=True)
        said = done.stdout.strip()
        print(said, done.stderr)
    """,
    "part.py": """
        import sys
        def double(n):
            return n * 2
        answer = double(21)
        print(answer, sys.argv, __name__, sorted(name for name in sys.modules if "backtrail" in name) != [])
    """,
}


@pytest.mark.parametrize("version", ALL)
def test_a_python_in_a_subprocess(tmp_path: Path, version: str) -> None:
    ran, trace = run(tmp_path, CHILD, version=version, args=["part.py", "a", "b"], allow=["subprocess"])
    assert ran.out == "42 ['part.py', 'a', 'b'] __main__ True \n"
    assert told(ran) == [] and trace.limits == ()
    assert calls(trace, "double") == [(True, "42")] and values(trace, "answer") == [(True, "42")]
    assert {path.name for path in trace.files} == {"main.py", "part.py"}
    assert {entry[1]["allowed"] for entry in ran.of("guard")} == {True}


@pytest.mark.parametrize("how", [["-c", "import part"], ["-m", "part"], ["-B", "-W", "ignore", "part.py"]])
def test_other_ways_to_start_one(tmp_path: Path, how: list[str]) -> None:
    for version in TWO:
        ran, trace = run(tmp_path, CHILD, version=version, args=how, allow=["subprocess"])
        assert calls(trace, "double") == [(True, "42")], ran.err
        assert told(ran) == []


def test_by_way_of_a_shell(tmp_path: Path) -> None:
    files = {**CHILD, "main.py": "import os, sys\nos.system(f'{sys.executable} part.py; exit 3')\n"}
    _, trace = run(tmp_path, files, allow=["subprocess"])
    assert calls(trace, "double") == [(True, "42")]


UNREACHED = {
    "isolated": "subprocess.run([sys.executable, '-I', 'part.py'])",
    "without its environment": "subprocess.run([sys.executable, '-BE', 'part.py'])",
    "an environment of its own": "subprocess.run([sys.executable, 'part.py'], env={})",
    "another search path": (
        "subprocess.run([sys.executable, 'part.py'], env={**os.environ, 'PYTHONPATH': '/nowhere'})"
    ),
}


@pytest.mark.parametrize("how", UNREACHED)
def test_one_that_is_not_reached_is_told(tmp_path: Path, how: str) -> None:
    files = {**CHILD, "main.py": f"import os, subprocess, sys\n{UNREACHED[how]}\n"}
    ran, trace = run(tmp_path, files, allow=["subprocess"])
    assert told(ran) == ["fresh children"] and calls(trace, "double") == []
    assert trace.limits == (
        "the program started a Python that its environment or its flags keep from being recorded, and the "
        "guard does not reach it",
    )


def test_what_the_guard_blocks_is_no_child(tmp_path: Path) -> None:
    ran = run_probe(tmp_path, CHILD, args=["-I", "part.py"])
    assert ran.end["status"] == "stopped" and told(ran) == []


def test_a_command_that_is_no_python_is_nothing_to_tell(tmp_path: Path) -> None:
    ran = run_probe(tmp_path, "import subprocess\nsubprocess.run(['true'])\n", allow=["subprocess"])
    assert ran.end["status"] == "completed" and told(ran) == []


@pytest.mark.parametrize("kind", ["fork", "spawn", "subprocess"])
def test_children_are_guarded(tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside.txt"
    starts = {
        "fork": "if os.fork() == 0:\n    write()\nos.wait()",
        "spawn": "process = multiprocessing.get_context('spawn').Process(target=write)\nprocess.start()\n"
        "process.join()",
        "subprocess": "subprocess.run([sys.executable, __file__, 'child'])",
    }
    main = "\n".join(
        [
            "import multiprocessing, os, subprocess, sys",
            f"def write():\n    try:\n        open({str(outside)!r}, 'w')\n    finally:\n        os._exit(0)",
            "if sys.argv[1:]:\n    write()",
            "elif __name__ == '__main__':",
            *("    " + line for line in starts[kind].splitlines()),
        ]
    )
    _, trace = run(tmp_path, {"main.py": main + "\n"}, allow=["subprocess"])
    assert not outside.exists()
    blocked = [(one.kind, one.line) for one in trace.side_effects if not one.allowed]
    assert blocked == [("write", 4)], "the ledger of the child is a part of the program's"


def test_a_sitecustomize_of_ones_own_is_loaded_all_the_same(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import os\nos.environ['OWN'] = 'loaded'\n")
    files = {
        **CHILD,
        "part.py": "import os, sys\nprint(os.environ['OWN'], sys.path.count(os.environ['PLACE']))\n",
    }
    for version in TWO:
        environ = {"PYTHONPATH": str(own), "PLACE": str(own)}
        ran = run_probe(
            tmp_path, files, version=version, args=["part.py"], allow=["subprocess"], environ=environ
        )
        assert ran.out == "loaded 1 \n"


def test_a_child_sees_the_search_path_that_it_would_have(tmp_path: Path) -> None:
    files = {**CHILD, "part.py": "import sys\nprint(sys.path[1:], sys.flags.dev_mode)\n"}
    for version in TWO:
        ran = run_probe(tmp_path, files, version=version, args=["part.py"], allow=["subprocess"])
        plain = os.popen(f"{python(version)} -c 'import sys; print(sys.path[1:], sys.flags.dev_mode)'").read()
        assert ran.out.strip() == plain.strip()


def test_a_test_with_a_very_long_name_can_start_children(tmp_path: Path) -> None:
    """The environment of a process has its limits."""
    files = {
        "test_work.py": """
            import os, pytest, subprocess, sys
            @pytest.mark.parametrize("text", ["x" * 500_000])
            def test_start(text):
                assert subprocess.run([sys.executable, "-c", "import work; work.work(1)"]).returncode == 0
        """,
        "work.py": "def work(n):\n    return n\n",
    }
    _, trace = run(tmp_path, files, kind="pytest", allow=["subprocess"])
    assert [item.outcome for item in trace.items] == ["passed"]
    assert calls(trace, "work") == [(True, "1")]


def test_more_children_than_are_recorded(tmp_path: Path) -> None:
    source = f"""
        import os
        def work(n):
            return n
        for number in range({MOST_CHILDREN + 6}):
            if os.fork() == 0:
                work(number)
                os._exit(0)
            os.wait()
    """
    ran, trace = run(tmp_path, source)
    assert ran.end["status"] == "completed"
    assert calls(trace, "work") == [(True, str(number)) for number in range(MOST_CHILDREN)]
    assert trace.limits == (f"of its child processes the first {MOST_CHILDREN} were recorded",)


def test_each_test_has_its_children(tmp_path: Path) -> None:
    files = {
        "test_work.py": """
            import multiprocessing, os, subprocess, sys
            def work(n):
                return n
            def test_fork():
                process = multiprocessing.get_context("fork").Process(target=work, args=(1,))
                process.start()
                process.join()
            def test_spawn():
                process = multiprocessing.get_context("spawn").Process(target=work, args=(2,))
                process.start()
                process.join()
        """
    }
    for version, recorder in NEWEST_TWO_RECORDERS:
        if not has_pytest(version):
            continue
        _, trace = run(tmp_path, files, kind="pytest", version=version, recorder=recorder)
        names = {item.id: item.name.rpartition("::")[2] for item in trace.items}
        found = {
            (names[frame.item], frame.result.text)
            for frame in trace.frames.values()
            if frame.code.name == "work" and frame.result and frame.item
        }
        assert found == {("test_fork", "1"), ("test_spawn", "2")}


def has_pytest(version: str) -> bool:
    return python(version) == sys.executable or os.system(f"{python(version)} -c 'import pytest'") == 0


def test_a_child_that_is_killed_is_told_to_its_last_line(tmp_path: Path) -> None:
    source = """
        import os, signal
        if os.fork() == 0:
            last = 1
            last = 2
            os.kill(os.getpid(), signal.SIGKILL)
        os.wait()
    """
    for version, recorder in NEWEST_TWO_RECORDERS:
        _, trace = run(tmp_path, source, version=version, recorder=recorder)
        assert values(trace, "last") == [(True, "1"), (True, "2")]


def test_a_second_pass_has_the_children_too(tmp_path: Path) -> None:
    for version, recorder in NEWEST_TWO_RECORDERS:
        _, trace = run(tmp_path, FORK, version=version, recorder=recorder, ring=5)
        assert values(trace, "in_child") == [(True, "40")]
