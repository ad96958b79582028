"""Stops the program at its failure, for a debugger.

The run is over and its "end" is in the log. Only now is debugpy imported, by its path, and connected
to an adapter that waits; a run that does not fail never pays for it. While the program stands still,
the tracer has `look` and `ask` called here, by way of debugpy.
"""

from __future__ import annotations

import os
import sys
import threading

from . import statics
from .looking import Refused, look_up
from .redact import Redactor
from .statics import quote
from .values import Renderer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Dict, Optional

    from .guard import Guard
    from .log import Log
    from .scope import Scope
    from .wire import PostMortem

_ATTACH_S = 60.0
_ASKED_S = 4.0
_CHARS, _ITEMS, _DEPTH = 2000, 50, 4  # a hover has more room than a log


def stop_at(
    exc: BaseException,
    where: PostMortem,
    log: Log,
    scope: Scope,
    *,
    guard: Optional[Guard] = None,
    redactor: Optional[Redactor] = None,
) -> None:
    """Stands still until the debugger continues or goes away. What goes wrong is told on stderr, and
    the program ends as it would have. The debugger may do what the guard forbids; not so the program
    when it goes on, and what a person has evaluated through `ask`."""
    if guard is not None:
        guard.suspended = True
    try:
        _standing.append(_Standing(exc, guard, redactor or Redactor(os.environ)))
        _stand(exc, where, log, scope)
    finally:
        _standing.clear()
        if guard is not None:
            guard.suspended = False


def _stand(exc: BaseException, where: PostMortem, log: Log, scope: Scope) -> None:
    try:
        debugpy = _import_debugpy(where.debugpy)
        if not where.port:
            _connect_by_file(debugpy)
        debugpy.connect((where.host, where.port), access_token=where.token)
        log.note(f'["postmortem",{{"host":{quote(where.host)},"port":{where.port}}}]\n')
        _wait_for_client(debugpy)
        _stop(exc, scope)
    except Exception as error:
        sys.stderr.write(f"backtrail: cannot stop at the failure: {type(error).__name__}: {error}\n")


class _Standing:
    """What can be looked at: every frame that debugpy may show, by its id."""

    def __init__(self, exc: BaseException, guard: Optional[Guard], redactor: Redactor) -> None:
        self.frames: Dict[int, Any] = {}
        for last in _frames(statics.traceback_of(exc)):
            frame = last
            while frame is not None and id(frame) not in self.frames:
                self.frames[id(frame)] = frame
                frame = frame.f_back
        self.guard = guard
        self.renderer = Renderer(_CHARS, _ITEMS, _DEPTH, redactor)

    def answer(self, frame_id: int, find: Callable[[Any], Any]) -> str:
        """JSON: {"value": as in the log} | {"refused": why} | {"raised": "NameError: …"}."""
        try:
            frame = self.frames.get(_id_of(frame_id))
            if frame is None:
                raise Refused("the program has no such frame any more")
            return f'{{"value":{self.renderer.render(find(frame))}}}'
        except Refused as refused:
            return f'{{"refused":{quote(str(refused))}}}'
        except BaseException as error:
            words = self.renderer.message(error)
            return f'{{"raised":{quote(f"{statics.type_name(type(error))}: {words}")}}}'


_standing: "list[_Standing]" = []


def _id_of(number: int) -> Any:
    """debugpy numbers the ids of objects for the wire; raises KeyError for a number it has not given."""
    from _pydevd_bundle._debug_adapter.pydevd_base_schema import BaseSchema

    return BaseSchema._translate_id_from_dap(number)


def look(frame_id: int, expression: str) -> str:
    """The value of an expression that runs no code of the program, as `_Standing.answer` gives it."""
    return _standing[0].answer(frame_id, lambda frame: look_up(expression, frame))


def ask(frame_id: int, expression: str) -> str:
    """The same for any expression, since a person asked for it: with a time limit, and the guard awake."""

    def evaluate(frame: Any) -> Any:
        names = {**frame.f_globals, **frame.f_locals}  # one, so that comprehensions find locals too
        with _AtMost(_ASKED_S):
            return eval(compile(expression.strip(), "<asked for>", "eval"), names)

    standing = _standing[0]
    if standing.guard is not None:
        standing.guard.suspended = False
    try:
        return standing.answer(frame_id, evaluate)
    finally:
        if standing.guard is not None:
            standing.guard.suspended = True


class TooLong(BaseException):
    """Not an Exception, so that `except Exception` in what is evaluated does not take it for an error."""


class _AtMost:
    """Raises TooLong in the body after so many seconds, again and again until it gives in. Where there
    is no SIGALRM (Windows, or off the main thread) only the tracer's patience ends."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._before: Any = None

    def __enter__(self) -> None:
        import signal

        def over(*_: Any) -> None:
            raise TooLong(f"it took longer than {self._seconds:g} s")

        if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
            handler = signal.signal(signal.SIGALRM, over)
            self._before = handler, signal.setitimer(signal.ITIMER_REAL, self._seconds, 0.5)

    def __exit__(self, *_: object) -> None:
        import signal

        if self._before is not None:
            handler, timer = self._before
            signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, handler)


def _import_debugpy(folder: str) -> Any:
    """From the given folder, which does not enter sys.path: its other packages are not the program's."""
    loaded = sys.modules.get("debugpy")
    if loaded is not None:
        return loaded
    from importlib.util import module_from_spec, spec_from_file_location

    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # frozen modules are no news to us
    package = os.path.join(folder, "debugpy")
    init = os.path.join(package, "__init__.py")
    spec = spec_from_file_location("debugpy", init, submodule_search_locations=[package])
    if spec is None or spec.loader is None:
        raise ImportError(f"no debugpy in {folder}")
    module = module_from_spec(spec)
    sys.modules["debugpy"] = module
    spec.loader.exec_module(module)
    return module


def _connect_by_file(debugpy: Any) -> None:
    """pydevd knows hosts and ports only; what it makes of them is one function, replaced here."""
    import socket
    from importlib import import_module

    import_module("debugpy.server.api")  # puts pydevd on the path
    pydevd: Any = import_module("pydevd")

    def start_client(path: str, port: int) -> Any:
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            # The path itself may be too long for an address.
            connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
            return connection
        finally:
            os.close(folder)

    pydevd.start_client = start_client


def _wait_for_client(debugpy: Any) -> None:
    """Raises TimeoutError when no client has attached through the adapter in time."""
    timer = threading.Timer(_ATTACH_S, debugpy.wait_for_client.cancel)
    timer.daemon = True
    timer.start()
    debugpy.wait_for_client()
    if not debugpy.is_client_connected():
        raise TimeoutError("no debugger attached")
    timer.cancel()


def _stop(exc: BaseException, scope: Scope) -> None:
    """What pydevd does at an uncaught exception, done on purpose: by itself it would not fire here,
    since the exception was caught long ago by the test runner or by us."""
    import pydevd  # type: ignore[import-not-found,unused-ignore]
    from _pydevd_bundle.pydevd_additional_thread_info import set_additional_thread_info

    traceback = statics.traceback_of(exc)
    frames = _frames(traceback)
    user = next((frame for frame in reversed(frames) if scope.traces(frame.f_code.co_filename)), frames[-1])
    debugger, thread = pydevd.get_global_debugger(), threading.current_thread()
    info = set_additional_thread_info(thread)
    info.pydev_message = statics.type_name(type(exc))
    _stop_tracing(debugger)
    info.is_tracing += 1
    try:
        by_id = {id(frame): frame for frame in frames}
        debugger.do_stop_on_unhandled_exception(thread, user, by_id, (type(exc), exc, traceback))
    finally:
        info.is_tracing -= 1


def _stop_tracing(debugger: Any) -> None:
    """Otherwise the order to stop would be met by the next line of Python that this thread executes,
    in pydevd itself or the standard library. With sys.monitoring only taking all of it off helps."""
    if hasattr(sys, "monitoring"):
        from _pydevd_sys_monitoring import pydevd_sys_monitoring

        pydevd_sys_monitoring.stop_monitoring(all_threads=True)
    else:
        debugger.disable_tracing()


def _frames(traceback: Optional[TracebackType]) -> Any:
    frames = []
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    if not frames:
        raise ValueError("the failure has no frames")
    return frames
