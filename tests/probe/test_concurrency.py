"""Threads, tasks and generators that take turns: each frame keeps its own lines, values and thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.probe.harness import NEWEST_TWO_RECORDERS, Ran, run_probe

both_recorders = pytest.mark.parametrize(("version", "recorder"), NEWEST_TWO_RECORDERS)


def by_frame(ran: Ran, function: str) -> list[dict[str, Any]]:
    """For each activation of a function: its thread, arguments, lines in order, and returned value."""
    codes = {record[1] for record in ran.of("code") if record[3].rpartition(".")[2] == function}
    frames: dict[int, dict[str, Any]] = {}
    for record in ran.records:
        if record[0] == "call" and record[3] in codes:
            held = {name: value[1] for name, value in record[6].items()}
            frames[record[1]] = {
                "thread": record[4],
                "args": held,
                "lines": [],
                "returned": None,
                "values": {},
            }
        frame = frames.get(record[1]) if record[0] in ("line", "return", "yield") else None
        if frame is None:
            continue
        if record[0] == "line":
            frame["lines"].append(record[2])
        else:
            frame["returned"] = record[4][1]
        for name, value in record[5].items():
            frame["values"].setdefault(name, []).append(value[1])
    return list(frames.values())


THREADS = """
    import threading, queue
    turn = [threading.Event() for _ in range(3)]
    done = queue.Queue()
    def work(number):
        turn[number].wait(30)
        total = number * 10
        for step in range(2):
            turn[(number + 1) % 3].set()
            total += step
        done.put(total)
        return total
    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads: thread.start()
    turn[0].set()
    for thread in threads: thread.join()
    print(sorted(done.get() for _ in range(3)))
"""


@both_recorders
def test_threads(tmp_path: Path, version: str, recorder: str) -> None:
    ran = run_probe(tmp_path, THREADS, version=version, recorder=recorder)
    assert (ran.out, ran.end["status"]) == ("[1, 11, 21]\n", "completed")
    frames = by_frame(ran, "work")
    assert [frame["args"]["number"] for frame in frames] == ["0", "1", "2"]
    main = ran.of("call")[0][4]
    assert len({frame["thread"] for frame in frames} | {main}) == 4
    for number, frame in enumerate(frames):
        assert frame["lines"] == [6, 7, 8, 9, 10, 8, 9, 10, 8, 11, 12]
        start = number * 10
        assert frame["values"]["total"] == [str(start), str(start + 1)]
        assert frame["returned"] == str(start + 1)


POOL = """
    import concurrent.futures
    def square(n):
        result = n * n
        return result
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        print(list(pool.map(square, range(4))))
"""


@both_recorders
def test_a_thread_pool(tmp_path: Path, version: str, recorder: str) -> None:
    ran = run_probe(tmp_path, POOL, version=version, recorder=recorder)
    assert ran.out == "[0, 1, 4, 9]\n"
    assert sorted(frame["returned"] for frame in by_frame(ran, "square")) == ["0", "1", "4", "9"]
    parents = {record[2] for record in ran.of("call")[1:]}
    assert parents == {None}, "a thread's first frame was called by nobody"


TASKS = """
    import asyncio
    async def child(name, count):
        total = 0
        for i in range(count):
            await asyncio.sleep(0)
            total += i
        return name * total
    async def main():
        first = asyncio.create_task(child("a", 2))
        found = await asyncio.gather(first, child("b", 3))
        try:
            await asyncio.wait_for(asyncio.sleep(30), 0.01)
        except asyncio.TimeoutError:
            late = True
        return found
    print(asyncio.run(main()))
"""


@both_recorders
def test_asyncio_tasks(tmp_path: Path, version: str, recorder: str) -> None:
    ran = run_probe(tmp_path, TASKS, version=version, recorder=recorder)
    assert ran.out == "['a', 'bbb']\n"
    one, other = by_frame(ran, "child")
    assert (one["args"]["name"], other["args"]["name"]) == ("'a'", "'b'")
    assert one["lines"] == [4, 5, 6, 7, 5, 6, 7, 5, 8] and one["returned"] == "'a'"
    assert other["values"]["total"] == ["0", "1", "3"] and other["returned"] == "'bbb'"
    (main,) = by_frame(ran, "main")
    assert main["values"]["found"] == ["['a', 'bbb']"] and main["values"]["late"] == ["True"]


ASYNC_GENERATOR = """
    import asyncio
    async def count(n):
        try:
            for i in range(n):
                await asyncio.sleep(0)
                yield i
        finally:
            closed = True
    async def use():
        seen = []
        async for i in count(9):
            seen.append(i)
            if i == 1: break
        return seen
    print(asyncio.run(use()))
"""


@both_recorders
def test_an_async_generator_that_is_left_early(tmp_path: Path, version: str, recorder: str) -> None:
    ran = run_probe(tmp_path, ASYNC_GENERATOR, version=version, recorder=recorder)
    assert ran.out == "[0, 1]\n"
    (frame,) = by_frame(ran, "count")
    assert frame["lines"][:8] == [4, 5, 6, 7, 5, 6, 7, 9]
    raised = [record[4] for record in ran.of("raise") if record[2] == 7]
    assert set(raised) <= {"GeneratorExit", "CancelledError"} and raised


INTERLEAVED = """
    def count(start):
        for i in range(start, start + 3):
            got = yield i
        return start
    def both():
        a, b = count(0), count(10)
        seen = [next(a), next(b), next(a), b.send("x"), next(a)]
        return seen
    both()
"""


@both_recorders
def test_generators_that_take_turns(tmp_path: Path, version: str, recorder: str) -> None:
    ran = run_probe(tmp_path, INTERLEAVED, version=version, recorder=recorder)
    one, other = by_frame(ran, "count")
    assert one["values"]["i"] == ["0", "1", "2"] and other["values"]["i"] == ["10", "11"]
    assert one["values"]["got"] == ["None"] and other["values"]["got"] == ["'x'"]


EXEC = """
    source = "def made(n):\\n    twice = n * 2\\n    return twice\\n"
    space = {}
    exec(source, space)
    first = space["made"](3)
    code = compile("value = first + 1\\n", __file__, "exec")
    exec(code)
    total = eval("value * 2")
"""


@both_recorders
def test_exec_and_eval(tmp_path: Path, version: str, recorder: str) -> None:
    """Text without a file has no lines to show values at; code that names the file is recorded as its."""
    ran = run_probe(tmp_path, EXEC, version=version, recorder=recorder)
    assert ran.end["status"] == "completed", ran.err
    names = [record[3] for record in ran.of("code")]
    assert names == ["<module>", "<module>"], "made() has no file"
    assert ran.last_values()["total"][1] == "14"
    assert {name: value[1] for name, value in ran.last_values().items() if name == "first"} == {"first": "6"}


NESTED = """
    import functools
    def outer(n):
        def middle(m):
            def inner(k):
                return n + m + k
            return inner(m + 1)
        return middle(n + 1)
    @functools.lru_cache(None)
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)
    class Base:
        @classmethod
        def make(cls, *args): return cls()
        @property
        def size(self): return 3
    found = outer(1), fib(4), Base.make(1).size
"""


@both_recorders
def test_nested_decorated_and_recursive_functions(tmp_path: Path, version: str, recorder: str) -> None:
    ran = run_probe(tmp_path, NESTED, version=version, recorder=recorder)
    assert {record[3] for record in ran.of("code")} == {
        "<module>", "Base", "outer", "outer.<locals>.middle", "outer.<locals>.middle.<locals>.inner",
        "fib", "Base.make", "Base.size",
    }  # fmt: skip
    assert [frame["returned"] for frame in by_frame(ran, "inner")] == ["6"]
    assert [frame["args"]["n"] for frame in by_frame(ran, "fib")] == ["4", "3", "2", "1", "0"], "cached"
    assert by_frame(ran, "make")[0]["args"] == {"cls": "<class Base>", "args": "(1,)"}
    assert by_frame(ran, "size")[0]["returned"] == "3"
    parents = {record[1]: record[2] for record in ran.of("call")}
    depth = dict.fromkeys(parents, 1)
    for frame, parent in parents.items():
        depth[frame] = depth.get(parent, 0) + 1
    assert max(depth.values()) == 5, "fib(4) -> 3 -> 2 -> 1, below the module"
