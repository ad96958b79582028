"""Traces that are kept in a file: what comes back, who may share it, how large it gets, what can be wrong."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path
from textwrap import dedent

import attrs
import pytest
from attrs import evolve

from backtrail_tracer.archive import VERSION, Archive
from backtrail_tracer.trace import (
    Cap,
    Check,
    Failure,
    FailureFrame,
    Hit,
    Item,
    Operand,
    SideEffect,
    Status,
    Trace,
    Value,
)
from backtrail_tracer.trace_json import Unreadable, decode, encode
from tests.tracer.logs import PATH, call, code, leave, line, trace

SHORT = Value("list", "[1, 2, …]", 7, 9, "(9,)", True, True)
GOOD = trace(code(), call(xs=[1, 2]), line(2), line(3, total=1), leave(3, odd=["=Odd", "<Odd>", {"id": 4}]))


def made(entry: str, status: Status = "completed", started: float = 1.0, text: str = "") -> Trace:
    return evolve(GOOD, entry=entry, status=status, started=started, message=text)


def whole() -> Trace:
    """A trace in which every field of every part holds something of its own."""
    frame = next(iter(GOOD.frames.values()))
    left = evolve(frame, parent=3, item=1, late=True, left_us=9, left_by="return", result=SHORT)
    hit = Hit(frame.id, 2, 3, 4, {"x": SHORT}, True, "KeyError: 'x'", 0, {"y": SHORT}, True)
    where = FailureFrame(PATH, 1, 2, 3, 4, "mean", {"z": SHORT}, True)
    check = Check("x > 1", ">", (Operand("x", SHORT),))
    values = SHORT, Value("int", "1")
    failure = Failure(1, "KeyError", "'\udc80 é'", (where,), ("OSError: no",), *values, check)
    return attrs.evolve(
        GOOD,
        status="failed",
        message="m",
        exit_code=1,
        seconds=0.25,
        items=(Item(1, "test_a", PATH, 3, "failed", 0.5, "no"), Item(2, "script", None, 1, None, 0.0)),
        frames={frame.id: left},
        hits=(hit,),
        failures=(failure,),
        caps=(Cap(PATH, 4, 10, 3, 99, "mean"),),
        limits=("recording stopped",),
        side_effects=(SideEffect("write", "x", PATH, 3, True), SideEffect("network", "y", None, 0, False)),
        loose_ends=("odd",),
        sources={PATH: "x = 1\r\n"},
        passes=2,
        again="run twice",
        flaky=True,
        place=(PATH, 3),
    )


def test_a_trace_comes_back_as_it_was_without_what_the_program_printed() -> None:
    before = whole()
    for each in (before, before.hits[0], before.failures[0], before.failures[0].frames[0], SHORT):
        empty = [f.name for f in attrs.fields(type(each)) if not getattr(each, f.name) and f.name != "order"]
        assert set(empty) <= {"stdout", "stderr"}, "the comparison below would not see these"
    assert decode(encode(evolve(before, stdout="printed", stderr="printed"))) == before
    assert decode(encode(GOOD)) == GOOD


def test_a_huge_trace_is_written_and_read_in_short_pieces() -> None:
    # One call of the JSON module for all of it would hold up every other thread of the server.
    kept = tuple(Hit(1, 2, n, n, {"x": Value("int", str(n))}, order=n) for n in range(30_000))
    sources = {PATH.with_name(f"{n}.py"): "x = 1\n" * 20_000 for n in range(4)}
    huge = evolve(GOOD, hits=kept, sources=sources)
    lines = zlib.decompress(encode(huge)).split(b"\n")
    assert max(map(len, lines)) < 200_000 < sum(map(len, lines))
    assert decode(encode(huge)) == huge
    for end in (1, 1000, 5):
        with pytest.raises(Unreadable):
            decode(encode(huge)[:-end])


def test_damaged_bytes_are_told_and_nothing_else() -> None:
    data, chance = encode(whole()), random.Random(1)
    for _ in range(300):
        place = chance.randrange(len(data))
        broken = data[:place] + bytes([chance.randrange(256)]) + data[place + chance.choice([0, 1, 9]) :]
        try:
            assert isinstance(decode(broken), Trace)
        except Unreadable:
            continue


def test_the_last_good_and_the_last_failing_run_of_each_entry(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "deep" / "kept.sqlite3", on_problem=pytest.fail)
    assert archive.last_good("a") is None
    runs = [made("a", started=1), made("a", "failed", 2), made("a", "timeout", 3), made("b", started=4)]
    for each in (*runs, made("a", "cancelled", 5), made("a", "usage", 6), made("a", started=0)):
        archive.keep(each)
    again = Archive(archive.path, on_problem=pytest.fail)
    assert (again.last_good("a"), again.last_failing("a")) == (runs[0], runs[2])
    assert (again.last_good("b"), again.last_failing("b")) == (runs[3], None)


def test_the_file_is_the_persons_own(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "kept.sqlite3")
    archive.keep(GOOD)
    if sys.platform != "win32":
        assert archive.path.stat().st_mode & 0o077 == 0


def test_the_oldest_go_when_it_is_full(tmp_path: Path) -> None:
    most, said = 100_000, list[str]()
    archive = Archive(tmp_path / "kept.sqlite3", most, said.append)
    chance = random.Random(2)
    for number in range(30):
        archive.keep(made(f"e{number}", started=number, text=chance.randbytes(5_000).hex()))
    kept = [number for number in range(30) if archive.last_good(f"e{number}")]
    assert kept == list(range(kept[0], 30)) and 10 < len(kept) < 25
    assert archive.path.stat().st_size < most * 1.5  # pages are filled in part
    archive.keep(made("huge", started=99, text=chance.randbytes(most).hex()))
    assert archive.last_good("huge") is None and "is not kept: it has" in said[0]
    assert archive.last_good("e29") is not None


WRITER = """
    import sys
    from pathlib import Path
    from attrs import evolve
    from backtrail_tracer.archive import Archive
    from backtrail_tracer.reader import Ending, read
    path, name = sys.argv[1:]
    empty = evolve(read(b"", "", Ending()), status="completed")
    archive = Archive(Path(path), on_problem=lambda reason: sys.exit(reason))
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(40):
        archive.keep(evolve(empty, entry=f"{name}{number}", started=1.0))
        archive.keep(evolve(empty, entry="shared", run=name, started=float(number)))
        assert archive.last_good("shared").started >= number
"""


def test_two_processes_may_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite3"
    command = [sys.executable, "-c", dedent(WRITER), str(path)]
    writers = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    for writer in writers:
        assert writer.stdout and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0]
    archive = Archive(path, on_problem=pytest.fail)
    assert all(archive.last_good(f"{name}{number}") for name in "ab" for number in range(40))


def newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()


def other_table(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE kept RENAME COLUMN trace TO something")
    connection.close()


def overwritten(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def torn(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (newer, "another version of Backtrail"),
        (other_table, "damaged"),
        (overwritten, "damaged"),
        (torn, "damaged"),
    ],
)
def test_a_file_that_cannot_be_used_is_moved_aside_and_a_new_one_begun(
    tmp_path: Path, spoil: object, reason: str
) -> None:
    said: list[str] = []
    archive = Archive(tmp_path / "kept.sqlite3", on_problem=said.append)
    archive.keep(made("a"))
    assert callable(spoil)
    spoil(archive.path)
    spoilt = archive.path.read_bytes()
    assert archive.last_good("a") is None
    assert len(said) == 1 and reason in said[0] and "kept.sqlite3.aside" in said[0]
    assert (tmp_path / "kept.sqlite3.aside").read_bytes() == spoilt
    archive.keep(made("a"))
    assert archive.last_good("a") == made("a") and len(said) == 1


def test_one_damaged_trace_is_dropped_and_the_others_stay(tmp_path: Path) -> None:
    said: list[str] = []
    archive = Archive(tmp_path / "kept.sqlite3", on_problem=said.append)
    archive.keep(made("a"))
    archive.keep(made("b"))
    with sqlite3.connect(archive.path) as connection:
        connection.execute("UPDATE kept SET trace = x'00ff' WHERE entry = 'a'")
    connection.close()
    assert archive.last_good("a") is None and archive.last_good("a") is None
    assert len(said) == 1 and "damaged trace" in said[0]
    assert archive.last_good("b") == made("b")


def test_a_place_that_cannot_be_written_is_said_and_nothing_is_raised(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said: list[str] = []
    archive = Archive(tmp_path / "file" / "kept.sqlite3", on_problem=said.append)
    archive.keep(made("a"))
    assert archive.last_good("a") is None
    assert said and all("not kept for now" in reason for reason in said)
