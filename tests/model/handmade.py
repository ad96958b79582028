"""Traces made by hand, for what a real run cannot be made to do on purpose (caps, gaps, odd orders)."""

from __future__ import annotations

import itertools
from pathlib import Path
from textwrap import dedent
from typing import Any

from attrs import define, evolve, field

from backtrail_tracer.trace import Cap, Code, Failure, FailureFrame, Frame, Hit, Item, Trace, Value

MODULE = Path("/project/shop.py")
TESTS = Path("/project/test_shop.py")


def value(of: Any, *, id: int | None = None) -> Value:
    return of if isinstance(of, Value) else Value(type(of).__name__, repr(of), id)


@define(eq=False)
class Recording:
    """Call `call`, `line`, `leave` in the order in which things happened; then `trace`."""

    sources: dict[Path, str]
    frames: dict[int, Frame] = field(factory=dict)
    hits: list[Hit] = field(factory=list)
    items: list[Item] = field(factory=list)
    failures: list[Failure] = field(factory=list)
    caps: list[Cap] = field(factory=list)
    item: int | None = None
    _order: Any = field(factory=lambda: itertools.count(1))
    _counts: dict[tuple[Path, int, int | None], int] = field(factory=dict)

    def begin(self, name: str, line: int = 1) -> None:
        self.item = len(self.items)
        self.items.append(Item(self.item, name, TESTS, line, "passed", 0.01))

    def call(
        self, path: Path, name: str, first_line: int, parent: int | None = None, **arguments: Any
    ) -> int:
        number = len(self.frames) + 1
        given = {key: value(of) for key, of in arguments.items()}
        code = Code(path, name, first_line)
        self.frames[number] = Frame(number, parent, code, self.item, 1, next(self._order), given, False)
        return number

    def line(
        self, frame: int, line: int, raised: str | None = None, uncertain: bool = False, **changed: Any
    ) -> Hit:
        path, order = self.frames[frame].code.path, next(self._order)
        key = (path, line, self.item)
        self._counts[key] = self._counts.get(key, 0) + 1
        changes = {name: value(of) for name, of in changed.items()}
        hit = Hit(frame, line, self._counts[key], order, changes, uncertain, raised, order)
        self.hits.append(hit)
        return hit

    def change(self, hit: Hit, **changed: Any) -> None:
        """An effect that is known only when the line has ended, after calls it made."""
        changes = {name: value(of) for name, of in changed.items()}
        self.hits[self.hits.index(hit)] = evolve(hit, changed=changes)

    def leave(self, frame: int, result: Any = None) -> None:
        self.frames[frame] = evolve(
            self.frames[frame], left_us=next(self._order), left_by="return", result=value(result)
        )

    def fail(
        self, *places: tuple[int, int], type: str = "AssertionError", message: str = "", **how: Any
    ) -> Failure:
        """`places`: (frame, line), outermost first."""
        frames = []
        for number, line in places:
            frame = self.frames[number]
            held = dict(frame.arguments)
            for hit in self.hits:
                if hit.frame == number:
                    held.update(hit.changed)
            name = frame.code.name.rpartition(".")[2]
            frames.append(FailureFrame(frame.code.path, line, line, -1, -1, name, held, True))
        given = {key: value(of) for key, of in how.items()}
        failure = Failure(self.item, type, message, tuple(frames), **given)
        self.failures.append(failure)
        if self.item is not None:
            self.items[self.item] = evolve(self.items[self.item], outcome="failed")
        return failure

    def trace(self) -> Trace:
        return Trace(
            run="run",
            entry="entry",
            status="failed" if self.failures else "completed",
            message="",
            python="3.11",
            recorder="settrace",
            reason="",
            started=0.0,
            seconds=0.1,
            exit_code=1,
            files=dict.fromkeys(self.sources, ""),
            items=tuple(self.items),
            frames=self.frames,
            hits=tuple(sorted(self.hits, key=lambda hit: hit.order)),
            failures=tuple(self.failures),
            caps=tuple(self.caps),
            limits=(),
            side_effects=(),
            stdout="",
            stderr="",
        )

    def source_of(self, path: Path) -> str:
        if path not in self.sources:
            raise FileNotFoundError(path)
        return self.sources[path]


def text(source: str) -> str:
    """Dedented, without the newline after the opening quotes, so that line 1 is the first one."""
    return dedent(source).removeprefix("\n")


TOTAL = text("""
    def total(prices, limit):
        result = 0
        for price in prices:
            if price > limit:
                continue
            result -= price
        return result
    """)
TOTAL_TEST = text("""
    from shop import total

    def test_empty():
        assert total([], 5) == 0

    def test_total():
        assert total([1, 9], 5) == 1
    """)


def total_recording(passing: int = 1) -> Recording:
    """`total` subtracts where it should add; `test_empty` passes (so often), `test_total` fails."""
    run = Recording({MODULE: TOTAL, TESTS: TOTAL_TEST})
    for number in range(passing):
        run.begin(f"test_shop.py::test_empty{f'[{number}]' if number else ''}", 3)
        test = run.call(TESTS, "test_empty", 3)
        run.line(test, 4)
        frame = run.call(MODULE, "total", 1, test, prices=[], limit=5)
        run.line(frame, 2, result=0)
        run.line(frame, 3)
        run.line(frame, 7)
        run.leave(frame, 0)
        run.leave(test)
    run.begin("test_shop.py::test_total", 6)
    test = run.call(TESTS, "test_total", 6)
    run.line(test, 7, raised="AssertionError: ")
    frame = run.call(MODULE, "total", 1, test, prices=[1, 9], limit=5)
    run.line(frame, 2, result=0)
    run.line(frame, 3, price=1)
    run.line(frame, 4)
    run.line(frame, 6, result=-1)
    run.line(frame, 3, price=9)
    run.line(frame, 4)
    run.line(frame, 5)
    run.line(frame, 3)
    run.line(frame, 7)
    run.leave(frame, -1)
    run.fail((test, 7), expected=1, actual=-1)
    return run
