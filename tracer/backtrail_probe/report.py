"""Tells the log of items (tests, doctests, the script) and their failures."""

from __future__ import annotations

from itertools import count
from time import perf_counter_ns

from .failures import FailureWriter, failure_text
from .log import Log
from .statics import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Tuple


class Report:
    """`recorder.new_item` is called when an item begins, so that each has its own first hits, and `note_item`
    with its id.

    `first_failure` is kept only when `keep` is true, for the debugger that will stop at it.
    """

    def __init__(
        self, log: Log, failures: FailureWriter, recorder: Any, keep: bool, note_item: "Callable[[int], None]"
    ) -> None:
        self._log = log
        self._failures = failures
        self.render = failures.render
        self._hide = failures.hide
        self.learn = failures.learn  # gets source texts, for the secrets in them
        self._recorder = recorder
        self._keep = keep
        self._note_item = note_item
        self._numbers = count(1)
        self._begun: "Dict[int, int]" = {}
        self.first_failure: Optional[BaseException] = None
        self.blocked = 0
        self._blocked_before: "Dict[int, int]" = {}

    def begin(self, name: str, path: str, line: int) -> int:
        """`line` is 1-based, 0 if unknown. Returns the item's id."""
        item = next(self._numbers)
        name = self._hide(name)[0]  # that of a parametrised test has values in it
        self._log.note(f'["item",{item},{quote(name)},{quote(path)},{line}]\n')
        self._note_item(item)
        self._blocked_before[item] = self.blocked
        self._recorder.new_item()
        self._begun[item] = perf_counter_ns()
        return item

    def note_blocked(self) -> None:
        self.blocked += 1

    def done(self, item: int, outcome: str, message: str = "") -> None:
        seconds = (perf_counter_ns() - self._begun.pop(item)) / 1e9
        self._recorder.end_item()
        if self.blocked > self._blocked_before.pop(item, 0):
            if outcome in ("failed", "error"):
                outcome = "stopped"
            message = message or "a side effect was blocked"
        self._log.note(f'["done",{item},"{outcome}",{seconds:.6f},{quote(self._hide(message)[0])}]\n')

    def go_on(self) -> None:
        """Items that have begun did so just now: the time before was spent waiting."""
        self._begun = dict.fromkeys(self._begun, perf_counter_ns())

    def failure(
        self,
        item: "Optional[int]",
        exc: BaseException,
        expected: "Optional[str]" = None,
        actual: "Optional[str]" = None,
        first_frame: "Optional[str]" = None,
    ) -> None:
        """`expected`, `actual` and `first_frame` (to stand before those of the traceback) are JSON text."""
        if self._keep and self.first_failure is None:
            self.first_failure = exc
        self._recorder.write_last()
        try:
            self._log.note(self._failures.record(item, exc, expected, actual, first_frame))
        except Exception as error:  # a traceback that cannot be told is no reason to fail the run
            message = f"the failure could not be recorded: {type(error).__name__}: {error}"
            self._log.note(failure_text(item, type(exc).__name__, message, []))

    def difference(self, item: int, message: str, frame: str, values: Tuple[str, str]) -> None:
        """A doctest's output that differs; `frame` and `values` (expected, actual) are JSON text."""
        self._recorder.write_last()
        self._log.note(failure_text(item, "DocTestFailure", self._hide(message)[0], [frame], values=values))

    def end(self, status: str, exit_code: int, message: str = "") -> None:
        seconds, message = self._log.now() / 1e6, self._hide(message)[0]
        self._log.note(
            f'["end",{{"status":"{status}","exit_code":{exit_code},"seconds":{seconds:.6f},"message":{quote(message)}}}]\n'
        )
