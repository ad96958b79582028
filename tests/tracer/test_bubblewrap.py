"""Programs in the sandbox: the guard is off in most of these, since it is the sandbox that has to hold."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

from backtrail_probe.wire import ProcessLimits
from backtrail_tracer import bubblewrap
from backtrail_tracer.bubblewrap import Bubblewrap, NotAvailable
from backtrail_tracer.dap import DapError
from backtrail_tracer.entries import Entry
from backtrail_tracer.postmortem import Adapter
from backtrail_tracer.sandbox import scratch_folder
from backtrail_tracer.session import Session
from backtrail_tracer.trace import Trace
from backtrail_tracer.verify import Verifier
from tests.tracer.conftest import marked
from tests.tracer.trees import write

FOUND = bubblewrap.find()
sandboxed = pytest.mark.skipif(not isinstance(FOUND, Bubblewrap), reason=str(FOUND))
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a program to its parent")

PATIENT = ProcessLimits(wall_s=60.0)


def entry_of(path: Path, kind: str = "script") -> Entry:
    return Entry(f"{kind}:{path.name}", kind, (str(path),), (), path.parent, "", "", (path,))  # type: ignore[arg-type]


async def run(session: Session, source: str, **limits: float) -> Trace:
    path = write(session.root, {"work.py": source}) / "work.py"
    process_limits = ProcessLimits(**{"wall_s": 30.0, **limits})  # type: ignore[arg-type]
    return (await session.run(entry_of(path), process_limits=process_limits)).trace


@pytest.fixture
def free(session: Session) -> Session:
    return evolve(session, guard=False)


@sandboxed
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("open('precious.txt', 'w')", "Read-only file system"),
        ("import os; os.remove('precious.txt')", "Read-only file system"),
        ("import ctypes; c = ctypes.CDLL(None, use_errno=True); c.unlink(b'precious.txt'); "
         "import os; raise OSError(os.strerror(ctypes.get_errno()))", "Read-only file system"),
        ("import os; os.system('echo gone > precious.txt') and exit('refused')", "refused"),
        ("import socket; socket.create_connection(('192.0.2.1', 80), 5)", "Network is unreachable"),
    ],
)  # fmt: skip
async def test_what_cannot_be_done_even_without_the_guard(free: Session, source: str, message: str) -> None:
    write(free.root, {"precious.txt": "keep"})
    trace = await run(free, source)
    assert trace.status == "failed", trace
    assert message in trace.stderr
    assert (free.root / "precious.txt").read_text() == "keep"


@sandboxed
async def test_a_server_on_this_machine_cannot_be_reached_unless_allowed(free: Session) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        source = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        assert "Connection refused" in (await run(free, source)).stderr
        assert (await run(evolve(free, allow=["network"]), source)).status == "completed"


@sandboxed
async def test_only_the_allowed_folder_can_be_written(free: Session) -> None:
    (free.root / "out").mkdir()
    allowing = evolve(free, allow=[f"write:{free.root / 'out'}"])
    trace = await run(allowing, "open('out/a', 'w').write('x')\nopen('b', 'w')")
    assert trace.failures[0].where is not None and trace.failures[0].where.line == 2
    assert (free.root / "out" / "a").read_text() == "x"
    assert not (free.root / "b").exists()


@sandboxed
async def test_temporary_files_are_private_and_writable(free: Session) -> None:
    """A file of somebody else's in /tmp is not there, what the program puts there is gone, and the
    workspace, which in this test is below /tmp itself, is seen all the same."""
    with tempfile.NamedTemporaryFile(dir="/tmp") as theirs:
        trace = await run(
            free,
            f"""
            import os, tempfile
            assert not os.path.exists({theirs.name!r})
            open('/tmp/backtrail-test-of-the-sandbox', 'w').write('x')
            with tempfile.NamedTemporaryFile() as file:
                assert os.path.dirname(file.name) == os.environ['TMPDIR']
            assert os.path.exists({str(free.root / "work.py")!r})
            """,
        )
    assert trace.status == "completed", trace.stderr
    assert not Path("/tmp/backtrail-test-of-the-sandbox").exists()


@sandboxed
async def test_keys_in_the_home_folder_are_hidden(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    home = (
        write(session.root, {"home/.ssh/id": "secret", "home/.netrc": "secret", "home/.bashrc": "fine"})
        / "home"
    )
    monkeypatch.setenv("HOME", str(home))
    trace = await run(
        evolve(session, environ={**session.environ, "HOME": str(home)}),
        """
        import os
        home = os.path.expanduser('~')
        assert os.listdir(home + '/.ssh') == []
        assert open(home + '/.netrc').read() == ''
        assert open(home + '/.bashrc').read() == 'fine'
        """,
    )
    assert trace.status == "completed", trace.stderr


@sandboxed
async def test_other_processes_are_not_seen(free: Session) -> None:
    trace = await run(free, f"import os; os.kill({os.getpid()}, 0)")
    assert trace.failures[0].type == "ProcessLookupError"


@sandboxed
@pytest.mark.parametrize(
    ("source", "code", "status"),
    [
        ("pass", 0, "completed"),
        ("import sys; sys.exit(3)", 3, "failed"),
        ("import sys; sys.exit(137)", 137, "failed"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, "died"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -11, "died"),
    ],
)
async def test_exit_codes_are_the_program_s_own(
    session: Session, source: str, code: int, status: str
) -> None:
    trace = await run(session, source)
    assert (trace.exit_code, trace.status) == (code, status)


@sandboxed
@pytest.mark.parametrize(
    ("source", "limits", "message"),
    [
        ("import time; time.sleep(60)", {"wall_s": 1.0}, "stopped after 1 s"),
        ("import os, time; os.fork(); time.sleep(60)", {"processes": 1}, "more than 1 processes"),
        ("x = bytearray(b'1') * 200_000_000; import time; time.sleep(60)", {"memory_bytes": 2**27}, "128 MB"),
    ],
)
async def test_limits_hold_and_are_about_the_program_alone(
    free: Session, source: str, limits: dict[str, float], message: str
) -> None:
    assert message in (await run(free, source, **limits)).message
    assert (await run(free, "x = 1", processes=1)).status == "completed"


@sandboxed
async def test_a_test_with_tmp_path_runs_and_a_candidate_is_verified(session: Session) -> None:
    write(
        session.root,
        {
            "count.py": "def count(path):\n    return len(path.read_text()) + 1\n",
            "test_count.py": """
                from count import count

                def test_count(tmp_path):
                    (tmp_path / "f").write_text("abc")
                    assert count(tmp_path / "f") == 3
            """,
        },
    )
    entry = entry_of(session.root / "test_count.py", "pytest")
    trace = (await session.run(entry, process_limits=PATIENT)).trace
    assert [
        (item.outcome, failure.type) for item, failure in zip(trace.items, trace.failures, strict=True)
    ] == [("failed", "AssertionError")]
    fixed = {session.root / "count.py": "def count(path):\n    return len(path.read_text())\n"}
    memory = ProcessLimits(memory_bytes=2**30)
    async with Verifier(session, entry, process_limits=memory) as verifier:
        assert (await verifier.verify(fixed, wall_s=30)).passed
        assert not (await verifier.verify({}, wall_s=30)).passed
        assert verifier.reason == "forked from a warm worker"


@sandboxed
async def test_a_failing_test_stands_still_and_answers(session: Session) -> None:
    path = (
        write(session.root, {"test_x.py": "def test_x():\n    amount = 41\n    assert amount == 42\n"})
        / "test_x.py"
    )
    run = await session.run(entry_of(path, "pytest"), postmortem=True, process_limits=PATIENT)
    assert run.stopped is not None, run.trace
    try:
        frame = next(frame for frame in await run.stopped.frames() if frame.path == path)
        assert (await run.stopped.evaluate("amount + 1", frame)).text == "42"
        with pytest.raises(DapError, match=r"Read-only|Backtrail's guard"):
            await run.stopped.evaluate(f"open({str(session.root / 'new')!r}, 'w')", frame, asked_for=True)
    finally:
        await run.stopped.close()
    assert not (session.root / "new").exists()


SLEEPER = """
    import os, time
    if os.fork() == 0:
        os.setsid()
        time.sleep(100)
    if os.fork() == 0:
        time.sleep(100)
    print("awake", flush=True)
    time.sleep(100)
"""
SERVER = """
    import asyncio, sys
    from pathlib import Path
    from backtrail_tracer.entries import Entry
    from backtrail_tracer.interpreter import Interpreter
    from backtrail_tracer.session import Session

    folder, mode = Path(sys.argv[1]), sys.argv[2]
    path = folder / "sleeper.py"
    entry = Entry("script", "script", (str(path),), (), folder, "", "", (path,))
    session = Session(Interpreter(Path(sys.executable), "a test"), folder, sandbox=mode)
    asyncio.run(session.run(entry, on_output=lambda said: print(said, end="", flush=True)))
"""


@linux
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_a_sleeping_program_and_its_children_die_with_a_server_that_is_killed(
    mode: str, tmp_path: Path
) -> None:
    write(tmp_path, {"sleeper.py": SLEEPER, "server.py": SERVER})
    mark = {**os.environ, "FOLDER_OF_THE_TEST": str(tmp_path)}
    server = subprocess.Popen(
        [sys.executable, str(tmp_path / "server.py"), str(tmp_path), mode],
        env=mark,
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None and server.stdout.readline() == b"awake\n"
        assert len(marked(str(tmp_path))) >= 4  # the server, the program, and two children of it
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
    _until(lambda: not marked(str(tmp_path)))


def _until(check: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def asked_again() -> Iterator[None]:
    bubblewrap.find.cache_clear()
    yield
    bubblewrap.find.cache_clear()


@linux
@pytest.mark.usefixtures("asked_again")
@pytest.mark.parametrize(
    ("bwrap", "said"),
    [
        (None, "guard only: bwrap is not installed"),
        ("echo 'bwrap: No permissions to create new namespace' >&2; exit 1",
         "guard only: bwrap cannot make namespaces here (bwrap: No permissions to create new namespace)"),
        ('while [ "$1" != -- ]; do shift; done; shift; exec "$@"', "bubblewrap: no network, read-only files"),
    ],
)  # fmt: skip
def test_the_level_says_why(
    bwrap: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bwrap is not None:
        (tmp_path / "bwrap").write_text(f"#!/bin/sh\n{bwrap}\n")
        (tmp_path / "bwrap").chmod(0o755)
    (tmp_path / "true").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert str(bubblewrap.level("auto")).startswith(said)
    assert bubblewrap.level("off") == NotAvailable("the setting sandbox is off")


def test_a_path_too_long_for_a_socket_can_still_be_stopped_at() -> None:
    """The scratch folder may be far down; the address of a socket may have 107 bytes."""

    async def opened(folder: Path) -> bool:
        async with Adapter(folder) as adapter:
            return Path(adapter.host).exists()

    if sys.platform != "linux":
        pytest.skip("there is no sandbox elsewhere")
    with scratch_folder() as scratch:
        deep = scratch / ("d" * 100)
        deep.mkdir()
        assert asyncio.run(opened(deep))


def test_what_is_written_to_is_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    command = Bubblewrap("bwrap").command(
        ["python"], cwd=tmp_path, scratch=tmp_path, allow=["write:not/there", "write:/etc/hosts"]
    )
    bound = [command.argv[at + 1] for at, word in enumerate(command.argv) if word == "--bind"]
    assert bound == [str(tmp_path), str(tmp_path), str(Path(os.path.realpath("/etc")))]
    assert command.argv[-2:] == ("--", "python") and "--unshare-net" in command.argv
