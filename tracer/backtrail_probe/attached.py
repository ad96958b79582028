"""Records a program that is running already, for a while: loaded into it by way of debugpy.

It needs `sys.monitoring` (Python 3.12 and newer), where a recorder has a tool id of its own beside the
debugger's. Up to 3.11 a thread has one trace function, and that is debugpy's. The recording ends by
itself when its time is over, whatever became of the one who asked for it; nothing is left switched on.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import types

from . import recorder as recorders
from .constants import VERSION
from .log import Log
from .redact import Redactor
from .scope import Scope
from .spec import read_spec
from .statics import quote
from .values import Renderer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, List

OWN = os.path.dirname(os.path.abspath(__file__))
_TOOL = "backtrail"


class Recording:
    """One recording, on from the beginning. Raises ValueError when this interpreter cannot be recorded,
    OSError when there can be no log."""

    def __init__(self, spec_path: str, seconds: float) -> None:
        with open(spec_path, encoding="utf-8") as file:
            spec = read_spec(file.read())
        limits = spec.record_limits
        renderer = Renderer(limits.value_chars, limits.value_items, limits.value_depth, Redactor(os.environ))
        self._scope = Scope(spec.traced, [*spec.excluded, *_debuggers()], os.getcwd(), OWN)
        self._log = Log(spec.log, limits.log_bytes)
        self._choice = recorders.choose(spec, self._log, self._scope, renderer)
        if self._choice.name != "monitoring":
            raise ValueError(f"the recorder has no place: {self._choice.reason}")
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self.on = True
        self._begin()
        self._timer = threading.Timer(seconds, self.end)
        self._timer.daemon = True
        self._timer.pydev_do_not_trace = True  # type: ignore[attr-defined]  # nor stopped by a debugger
        self._timer.start()

    def _begin(self) -> None:
        version = ".".join(map(str, sys.version_info[:3]))
        reason = f"{self._choice.reason}, and the program was attached to while it ran"
        self._log.note(
            f'["begin",{{"version":{VERSION},"python":{quote(version)},"pid":{os.getpid()},'
            f'"recorder":"{self._choice.name}","reason":{quote(reason)},"started":{time.time():.6f}}}]\n'
        )
        codes = self._codes()
        self._choice.recorder.start()
        for code in codes:
            self._choice.recorder.watch(code)

    def _codes(self) -> "List[Any]":
        """The code of the chosen files that the program has: of functions, of generators and coroutines
        whose function may be gone, and of frames that run right now, module level too."""
        found = {}
        for code in _all_code():
            if id(code) not in found and self._scope.traces(code.co_filename):
                found[id(code)] = code
        return list(found.values())

    def end(self) -> None:
        """Takes everything off again; safe to call twice, from any thread."""
        with self._lock:
            if not self.on:
                return
            self.on = False
        self._timer.cancel()
        self._choice.recorder.stop()
        _free_tool()
        seconds = time.monotonic() - self._begun
        self._log.note(
            f'["end",{{"status":"completed","exit_code":null,"seconds":{seconds:.6f},"message":""}}]\n'
        )
        self._log.close()


def _debuggers() -> "List[str]":
    """Where debugpy lies: wherever that is, it is not the program."""
    file = getattr(sys.modules.get("debugpy"), "__file__", None)
    if type(file) is not str:
        return []
    return [os.path.dirname(file), os.path.dirname(os.path.realpath(file))]


def _all_code() -> "Iterator[Any]":
    for obj in gc.get_objects():
        kind = type(obj)
        if kind is types.FunctionType:
            yield obj.__code__
        elif kind is types.GeneratorType:
            yield obj.gi_code
        elif kind is types.CoroutineType:
            yield obj.cr_code
        elif kind is types.AsyncGeneratorType:
            yield obj.ag_code
    for frame in list(sys._current_frames().values()):
        above: Any = frame
        while above is not None:
            yield above.f_code
            above = above.f_back


def _free_tool() -> None:
    """So that the program is as it was, and may be recorded again."""
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
    for tool in range(6):
        if monitoring.get_tool(tool) == _TOOL:
            for name in dir(monitoring.events):
                event = getattr(monitoring.events, name)
                if type(event) is int and event and not event & (event - 1):
                    monitoring.register_callback(tool, event, None)
            monitoring.free_tool_id(tool)


_recordings: "List[Recording]" = []


def begin(spec_path: str, seconds: float) -> str:
    """Empty when it records now, else why it cannot."""
    version = "%d.%d" % sys.version_info[:2]
    if not hasattr(sys, "monitoring"):
        return (
            f"the program runs on Python {version}, where a thread has one trace function, and debugpy "
            "uses it: to record a running program takes Python 3.12 or newer"
        )
    if any(each.on for each in _recordings):
        return "another recording of this program goes on"
    try:
        _recordings[:] = [Recording(spec_path, seconds)]
    except (ValueError, OSError) as error:
        _free_tool()
        return f"{type(error).__name__}: {error}"
    return ""


def end() -> str:
    """Empty; the log is whole when it returns."""
    for each in _recordings:
        each.end()
    _recordings.clear()
    return ""
