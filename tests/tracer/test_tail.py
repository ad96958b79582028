"""Reading a log while it grows."""

from __future__ import annotations

from pathlib import Path

from backtrail_tracer.tail import Tail
from tests.tracer.logs import BEGIN, END, FILE, call, code, line, lines_of, write_log

ITEM = ["item", 1, "test_a", "/ws/test_a.py", 3]
DONE = ["done", 1, "passed", 0.1, ""]


def test_each_test_is_told_once_when_it_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail = Tail(path)
    assert tail.poll() == []
    steps = [[BEGIN, FILE, ITEM], [code(), call(), line(2)], [DONE], [["item", 2, "test_b", "/x", 1]], [END]]
    written: list[object] = []
    told = []
    for step in steps:
        written += step
        write_log(path, lines_of(*written))
        told.append([item.name for item in tail.poll()])
    assert told == [[], [], ["test_a"], [], []]
    assert tail.ended and not tail.failed
    assert tail.poll() == []


def test_a_record_that_is_not_committed_is_not_seen(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail = Tail(path)
    content = lines_of(ITEM, DONE, END)
    write_log(path, content, len(content) - 3)
    assert [item.name for item in tail.poll()] == ["test_a"]
    assert not tail.ended
    write_log(path, content)
    tail.poll()
    assert tail.ended


def test_nonsense_is_passed_over(tmp_path: Path) -> None:
    path = write_log(
        tmp_path / "log", b'["done",\n["done",{}]\n["item"]\n' + lines_of(["failure", 3], ITEM, DONE)
    )
    tail = Tail(path)
    assert [item.name for item in tail.poll()] == ["test_a"]
    assert tail.failed
