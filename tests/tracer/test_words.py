"""The words beside a log become the records that they stand for; what makes no sense becomes a loose end."""

from __future__ import annotations

import struct
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from backtrail_probe.wire import FRAME, INT, REAL, TEXT, TIME, WORDS
from backtrail_tracer.reader import Ending, read
from backtrail_tracer.words import NONE, Words, read_words, woven
from tests.tracer.logs import BEGIN, END, FILE, call, code, leave, line, lines_of, write_log

HEAD = lines_of(BEGIN, FILE, code(), call(), line(2))
STEPS = lines_of(["step", 1, 3, ["x", "y"]], ["step", 2, 4, []], ["value", 5, ["str", "'a'"]])
ROOM = 10_000


def words(heads: list[int], *values: int | float) -> Words:
    data = b"".join(struct.pack("=d" if isinstance(each, float) else "=q", each) for each in values)
    view = memoryview(data)
    return Words(heads, view.cast("q"), view.cast("d"))


def told(log: bytes, those: Words) -> list[str]:
    """The hits of a log as "line#number at time: what changed"; and its loose ends."""
    made = read(woven(log, those, ROOM), "e", Ending())
    hits = [
        f"{hit.line}#{hit.number} at {hit.time_us}: "
        + " ".join(f"{name}={value.text}" for name, value in hit.changed.items())
        for hit in made.hits
    ]
    return [*hits, *(f"loose: {each[-40:]}" for each in made.loose_ends)]


def test_each_kind_of_word() -> None:
    changed = 1 << 16 | INT | REAL << 2
    heads = [FRAME, TIME, changed, 2 << 16, 1 << 16 | TEXT << 2, TIME, 1 << 16]
    those = words(heads, 1, 70, -7, 0.1, 5, 99)
    assert told(HEAD + STEPS, those) == [
        "2#1 at 20: x=-7 y=0.1",
        "3#1 at 70: ",
        "4#1 at 70: y='a'",
        "3#2 at 70: ",
        "3#3 at 99: ",
    ]


def test_words_stand_where_the_log_says() -> None:
    log = HEAD + STEPS + lines_of(["words", 2], line(9), ["words", 3], line(2, hit=2), END)
    those = words([FRAME, 2 << 16, 2 << 16, 2 << 16], 1)
    assert [each[:3] for each in told(log, those)] == ["2#1", "4#1", "9#1", "4#2", "2#2", "4#3"]


def test_what_makes_no_sense_is_said_and_ends_the_words() -> None:
    for heads in ([3], [7 << 16], [FRAME, TIME], [FRAME, 1 << 16 | TEXT]):
        assert len(told(HEAD + STEPS, words(heads, 1))) == 2
    assert told(HEAD + lines_of(["step", "x", 1], ["value"]), words([FRAME], 1))[1:] != []
    many = words([FRAME, *[2 << 16] * 1000], 1)
    made = read(woven(HEAD + STEPS, many, len(HEAD) + len(STEPS) + 500), "e", Ending())
    assert 5 < len(made.hits) < 40 and len(made.loose_ends) == 1


def test_a_file_is_read_up_to_the_first_nought(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", HEAD + STEPS + lines_of(leave(1)))
    assert read_words(log) == NONE
    heads = struct.pack("=4I", FRAME, 1 << 16 | INT, 1 << 16 | INT | REAL << 2, 2 << 16)
    values = struct.pack("=qqqd", 1, 0, 0, 0.0)
    for size in (64, 64 * 1024, 4 * 1024 * 1024):
        data = heads.ljust(size // 4, b"\0") + values.ljust(size - size // 4, b"\0")
        log.with_name("log" + WORDS).write_bytes(data)
        found = read_words(log)
        assert list(found.heads) == list(struct.unpack("=4I", heads))
        assert [hit.line for hit in read(log, "e", Ending()).hits] == [2, 3, 3, 4]


@given(st.binary(max_size=400), st.binary(max_size=80), st.integers(0, 400))
def test_no_bytes_can_raise(noise: bytes, more: bytes, place: int) -> None:
    heads = memoryview(noise[: len(noise) & ~7]).cast("I")
    values = memoryview(noise[: len(noise) & ~7])
    log = HEAD + STEPS
    for those in (heads, [FRAME, *(1 << 16 | each & 0xF for each in heads)]):
        found = Words(those, values.cast("q"), values.cast("d"))
        read(woven(log[:place] + more + log[place:], found, ROOM), "e", Ending())


@given(st.binary(max_size=300))
def test_no_file_can_raise(noise: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ("log" + WORDS)).write_bytes(noise)
        read(write_log(Path(folder) / "log", HEAD + STEPS), "e", Ending())
