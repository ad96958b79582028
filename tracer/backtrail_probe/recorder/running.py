"""Which frame of a code object runs, for the recorder that is not told.

Asking the interpreter for it raises an audit event, and that costs more than all else together.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from sys import version_info

from backtrail_probe.statics import identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from .codes import CodeTable
    from .state import FrameState

_modules = sys.modules
PROXIES = version_info >= (3, 13)  # there `f_locals` of a function makes a new list of items itself


class Running:
    """The frames that are recorded, by their identity, and those of each code object one above the other."""

    def __init__(self, codes: CodeTable) -> None:
        self._codes = codes
        self.states: "Dict[int, FrameState]" = {}
        self._threads: "Dict[int, int]" = {}
        self.alone = True  # one thread, and one stack in it: then the frame that began last is running
        self.going: Any = None  # the code that the callback is in that tells of hits by words (see `hot.py`)

    def run(self, frame: Any, state: FrameState) -> None:
        """The frame begins or goes on. It is held until it rests; only then could it come to its end."""
        info = state.info
        self.going = None
        state.frame = frame
        if PROXIES and not info.namespace:
            state.variables = frame.f_locals
        state.below, info.top = info.top, state
        info.fast = state if info.single and self.alone else None

    def rest(self, state: FrameState) -> None:
        """The frame is left or suspended, and with it those above that were left unseen."""
        info = state.info
        self.going = None
        each = info.top
        while each is not None and each is not state:
            each = each.below
        if each is state:
            each = info.top
            while each is not state:
                each.frame = each.variables = None
                each = each.below
            info.top = state.below
            info.fast = state.below if info.single and self.alone else None
        state.frame = state.variables = state.below = None

    def release(self) -> None:
        """No frame is held from here on."""
        self.alone, self.going = False, None
        for state in list(self.states.values()):
            state.frame = state.variables = state.below = None
        for info in self._codes.all():
            info.top = info.fast = None

    def forget_all(self) -> None:
        """In a forked child, which has one thread. The frames that are under way have no state any more."""
        self.release()
        self.states.clear()
        self._threads.clear()
        self.alone = True
        for info in self._codes.all():
            info.single = info.single and not info.live
            info.live = 0

    def parent(self, frame: Any) -> "Optional[FrameState]":
        """The state of the nearest recorded caller."""
        states = self.states
        caller = frame.f_back
        while caller is not None:
            state = states.get(identity(caller))
            if state is not None and state.info.code is caller.f_code:
                return state
            caller = caller.f_back
        return None

    def thread(self) -> int:
        """The number of the current thread."""
        number = self._threads.get(get_ident())
        if number is None:
            number = self._threads[get_ident()] = len(self._threads) + 1
            if number != 1:
                self.alone, self.going = False, None
        if "greenlet" in _modules:  # it changes stacks within a thread, unseen
            self.alone, self.going = False, None
        return number
