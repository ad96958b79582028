"""The guard: what is blocked, what is let through, and what the ledger says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.probe.harness import TWO, Ran, run_probe

BLOCKED = {
    "open_w": ("write", "open(outside + '/new.txt', 'w')"),
    "open_a": ("write", "open(outside + '/kept.txt', 'a')"),
    "os_open": ("write", "os.open(outside + '/new.txt', os.O_WRONLY | os.O_CREAT)"),
    "write_text": ("write", "pathlib.Path(outside, 'new.txt').write_text('x')"),
    "remove": ("delete", "os.remove(outside + '/kept.txt')"),
    "unlink_fd": ("delete", "os.unlink('kept.txt', dir_fd=os.open(outside, os.O_RDONLY))"),
    "rmtree": ("delete", "shutil.rmtree(outside)"),
    "rename": ("write", "os.rename(outside + '/kept.txt', outside + '/other.txt')"),
    "move_out": ("write", "shutil.move(make_scratch(), outside + '/moved')"),
    "mkdir": ("write", "os.mkdir(outside + '/folder')"),
    "chmod": ("write", "os.chmod(outside + '/kept.txt', 0o777)"),
    "symlink": ("write", "os.symlink('/', outside + '/link')"),
    "through_link": ("write", "os.symlink(outside, scratch + '/l'); open(scratch + '/l/new.txt', 'w')"),
    "truncate": ("write", "os.truncate(outside + '/kept.txt', 0)"),
    "utime": ("write", "os.utime(outside + '/kept.txt')"),
    "sqlite": ("write", "sqlite3.connect(outside + '/new.db')"),
    "connect": ("network", "socket.create_connection(('127.0.0.1', 9))"),
    "lookup": ("network", "socket.getaddrinfo('example.org', 80)"),
    "udp": ("network", "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))"),
    "bind_all": ("network", "socket.socket().bind(('192.0.2.1', 0))"),
    "urlopen": ("network", "urllib.request.urlopen('http://192.0.2.1/')"),
    "popen": ("subprocess", "subprocess.run(['touch', outside + '/new.txt'])"),
    "system": ("subprocess", "os.system('touch ' + outside + '/new.txt')"),
    "spawn": ("subprocess", "os.posix_spawn('/bin/true', ['true'], {})"),
    "exec": ("subprocess", "os.execv('/bin/true', ['true'])"),
    "kill_other": ("kill", "os.kill(os.getppid(), signal.SIGTERM)"),
}
PASSES = {
    "read": "open(outside + '/kept.txt').read()",
    "scratch": "open(scratch + '/a', 'w').write('x'); os.remove(scratch + '/a')",
    "tempfile": "tempfile.NamedTemporaryFile().write(b'x')",
    "tempdir": "tempfile.TemporaryDirectory().cleanup()",
    "devnull": "open(os.devnull, 'w').write('x')",
    "pipe": "os.write(os.pipe()[1], b'x')",
    "memory_db": "sqlite3.connect(':memory:').execute('create table t (x)')",
    "socketpair": "pair = socket.socketpair(); pair[0].send(b'x')",
    "asyncio": "asyncio.run(asyncio.sleep(0))",
    "local_server": "socket.socket().bind(('127.0.0.1', 0))",
    "localhost": "socket.getaddrinfo('localhost', 80)",
    "kill_self": "os.kill(os.getpid(), 0)",
    "fork": "(os._exit(0) if os.fork() == 0 else os.wait())",
    "kill_child": "kill_child()",
    "pool": "concurrent.futures.ThreadPoolExecutor().submit(len, 'a').result()",
    "libraries": "import ctypes, decimal, logging.config, platform, uuid, xml.dom.minidom",
    "platform": "platform.platform(); platform.processor()",
}
HEAD = """\
import asyncio, concurrent.futures, os, pathlib, shutil, signal, socket, sqlite3, subprocess, sys, tempfile
import time, urllib.request
outside = os.environ["OUTSIDE"]
scratch = os.environ["TMPDIR"]
def make_scratch():
    path = os.path.join(scratch, "mine")
    open(path, "w").close()
    return path
def kill_child():
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(child, signal.SIGKILL)
    os.wait()
"""
ACT = HEAD + "exec(compile(sys.argv[1], __file__, 'exec'))\n"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "kept.txt").write_text("kept")
    return folder


def attempt(tmp_path: Path, outside: Path, statement: str, **more: Any) -> Ran:
    return run_probe(
        tmp_path,
        ACT,
        args=[statement],
        environ={"OUTSIDE": str(outside), "HOME": str(tmp_path / "home")},
        **more,
    )


@pytest.mark.parametrize("name", BLOCKED)
def test_blocks(tmp_path: Path, outside: Path, name: str) -> None:
    kind, statement = BLOCKED[name]
    ran = attempt(tmp_path, outside, statement)
    assert sorted(path.name for path in outside.iterdir()) == ["kept.txt"]
    assert (outside / "kept.txt").read_text() == "kept"
    assert ran.end["status"] == "stopped", ran.err
    assert set(ran.outcomes.values()) == {"stopped"}
    ledger = [record[1] for record in ran.of("guard")]
    assert (ledger[-1]["kind"], ledger[-1]["allowed"]) == (kind, False)
    assert Path(ledger[-1]["path"]).name == "main.py"
    assert ran.failures[-1]["type"] == "SideEffectBlocked"
    assert "What to do:" in ran.end["message"] and "line 1" in ran.end["message"]


def test_lets_pass(tmp_path: Path, outside: Path) -> None:
    statements = "\n".join(PASSES.values())
    for version in TWO:
        ran = attempt(tmp_path, outside, statements, version=version)
        assert ran.end["status"] == "completed", (version, ran.err)
        assert not [record[1] for record in ran.of("guard") if not record[1]["allowed"]]


@pytest.mark.parametrize(
    ("allow", "statement", "file"),
    [
        (["subprocess"], "subprocess.run(['touch', outside + '/new.txt'])", "new.txt"),
        (["write:{outside}"], "open(outside + '/new.txt', 'w')", "new.txt"),
        (["network"], "socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 9))", ""),
    ],
)
def test_allowed(tmp_path: Path, outside: Path, allow: list[str], statement: str, file: str) -> None:
    ran = attempt(tmp_path, outside, statement, allow=[each.format(outside=outside) for each in allow])
    assert ran.end["status"] == "completed", ran.err
    assert not file or (outside / file).exists()


def test_the_ledger_tells_what_passed_and_where(tmp_path: Path, outside: Path) -> None:
    """Of what was let through, too; temporary files are the program's own and not in it."""
    program = f"""{HEAD}
open(scratch + '/mine', 'w').close()
open(outside + '/new.txt', 'w').close()
os.remove(outside + '/new.txt')
subprocess.run(['true'])
import ctypes
ctypes.CDLL(None).getpid()
"""
    ran = run_probe(
        tmp_path,
        program,
        allow=["subprocess", f"write:{outside}"],
        environ={"OUTSIDE": str(outside)},
    )
    assert ran.end["status"] == "completed", ran.err
    first = program.splitlines().index("open(outside + '/new.txt', 'w').close()") + 1
    told = [(about["kind"], about["line"]) for _, about in ran.of("guard") if about["path"]]
    assert told == [("write", first), ("delete", first + 1), ("subprocess", first + 2), ("ctypes", first + 4)]
    details = [about["detail"] for _, about in ran.of("guard") if about["path"]]
    assert details == [f"{outside}/new.txt", f"{outside}/new.txt", "true", "getpid"]
    assert all(about["allowed"] for _, about in ran.of("guard"))


def test_a_secret_on_a_command_line_is_not_in_the_ledger(tmp_path: Path, outside: Path) -> None:
    token = "ghp_" + "k3JwQ8vT2xYzL5mN7bR9dF1gH4jP6sC0aV2e"
    ran = attempt(tmp_path, outside, f"subprocess.run(['curl', '-H', 'Authorization: Bearer {token}'])")
    assert ran.end["status"] == "stopped" and "curl" in ran.of("guard")[-1][1]["detail"]
    assert token.encode() not in (tmp_path / "project-scratch" / "log").read_bytes()


def test_what_cannot_be_allowed_is_an_error(tmp_path: Path) -> None:
    ran = run_probe(tmp_path, "pass", allow=["everything"])
    assert ran.code != 0 and "cannot allow ['everything']" in ran.err


def test_except_exception_does_not_swallow_it(tmp_path: Path, outside: Path) -> None:
    ran = attempt(tmp_path, outside, "try: os.system('x')\nexcept Exception: pass")
    assert ran.end["status"] == "stopped"


def test_a_program_cannot_talk_the_guard_down(tmp_path: Path, outside: Path) -> None:
    statement = (
        "import gc, types\n"
        "sys.addaudithook = lambda hook: None\n"
        "os.path.realpath = lambda path, **more: scratch\n"
        "open(outside + '/new.txt', 'w')"
    )
    assert attempt(tmp_path, outside, statement).end["status"] == "stopped"
    assert not (outside / "new.txt").exists()


def test_a_cache_folder_is_just_not_writable(tmp_path: Path, outside: Path) -> None:
    cache = tmp_path / "home" / ".cache"
    cache.mkdir(parents=True)
    statement = (
        "path = os.path.expanduser('~/.cache/lib')\n"
        "try: os.mkdir(path)\n"
        "except PermissionError: print('read-only')"
    )
    ran = attempt(tmp_path, outside, statement)
    assert (ran.out, ran.end["status"]) == ("read-only\n", "completed")
    assert ran.of("guard")[0][1]["allowed"] is False


def test_without_a_guard_everything_runs(tmp_path: Path, outside: Path) -> None:
    ran = attempt(tmp_path, outside, "open(outside + '/new.txt', 'w')", guard=False)
    assert ran.end["status"] == "completed"
    assert (outside / "new.txt").exists()


def test_a_blocked_test_is_stopped_and_the_others_run(tmp_path: Path) -> None:
    tests = """
        import os, socket
        def test_fine(): pass
        def test_net(): socket.create_connection(("192.0.2.1", 80))
        def test_swallowed():
            try: os.system("true")
            except BaseException: pass
            assert False
        def test_also_fine(tmp_path): (tmp_path / "x").write_text("y")
    """
    ran = run_probe(tmp_path, {"test_it.py": tests}, kind="pytest")
    outcomes = {name.partition("::")[2]: outcome for name, outcome in ran.outcomes.items()}
    stopped = {name for name, outcome in outcomes.items() if outcome == "stopped"}
    assert stopped == {"test_net", "test_swallowed"}
    assert {outcomes["test_fine"], outcomes["test_also_fine"]} == {"passed"}
    assert ran.end["status"] == "stopped"
