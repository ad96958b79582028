"""Child processes: they run as without us, the parent's trace is whole, and it says what it does not hold."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from backtrail_tracer.reader import Ending, read
from tests.probe.harness import ALL, NEWEST_TWO_RECORDERS, Ran, run_probe

each_recorder = pytest.mark.parametrize(("version", "recorder"), NEWEST_TWO_RECORDERS)


def told(ran: Ran) -> list[str]:
    return [record[1] for record in ran.of("limit")]


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


@each_recorder
def test_fork(tmp_path: Path, version: str, recorder: str) -> None:
    ran = run_probe(tmp_path, FORK, version=version, recorder=recorder)
    assert (ran.out, ran.end["status"], ran.code) == ("80\n", "completed", 0)
    assert told(ran) == ["forked children"]
    values = ran.last_values()
    assert "in_child" not in values and values["after"][1] == "80"


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
        ran = run_probe(Path(short), POOL, version=version, recorder=recorder, args=[method])
    assert (ran.out, ran.end["status"]) == ("[0, 1, 4, 9, 16] 0 36\n", "completed"), ran.err
    assert ran.last_values()["result"][1] == "36", "the parent's own call is recorded"
    assert told(ran) == ["forked children" if method == "fork" else "fresh children"]


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
    ran = run_probe(tmp_path, EXECUTOR, version=version, recorder=recorder)
    assert (ran.out, ran.end["status"]) == ("[0, 1, 4]\n", "completed"), ran.err
    assert told(ran) == ["forked children"]


SUBPROCESS = """
    import subprocess, sys
    done = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True)
    said = done.stdout.strip()
    subprocess.run(["true"])
    print(said)
"""


@pytest.mark.parametrize("version", sorted({ALL[0], ALL[-1]}))
def test_a_python_in_a_subprocess(tmp_path: Path, version: str) -> None:
    ran = run_probe(tmp_path, SUBPROCESS, version=version, allow=["subprocess"])
    assert (ran.out, ran.last_values()["said"][1]) == ("42\n", "'42'")
    assert told(ran) == ["fresh children"]
    assert {entry[1]["allowed"] for entry in ran.of("guard")} == {True}


def test_what_the_guard_blocks_is_no_child(tmp_path: Path) -> None:
    ran = run_probe(tmp_path, SUBPROCESS)
    assert ran.end["status"] == "stopped" and told(ran) == []


def test_a_command_that_is_no_python_is_nothing_to_tell(tmp_path: Path) -> None:
    ran = run_probe(tmp_path, "import subprocess\nsubprocess.run(['true'])\n", allow=["subprocess"])
    assert ran.end["status"] == "completed" and told(ran) == []


def test_a_forked_child_is_still_guarded(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    source = f"""
        import os
        if os.fork() == 0:
            try:
                open({str(outside)!r}, "w")
            finally:
                os._exit(0)
        os.wait()
    """
    assert run_probe(tmp_path, source).end["status"] == "completed"
    assert not outside.exists()


def test_the_trace_says_it_in_words(tmp_path: Path) -> None:
    run_probe(tmp_path, FORK)
    trace = read(tmp_path / "project-scratch" / "log", "main", Ending(exit_code=0))
    assert trace.limits == ("the program forked: what its child processes ran was not recorded",)
