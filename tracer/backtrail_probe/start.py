"""One run, from the specification to the exit: the order in which things are put in place."""

from __future__ import annotations

import atexit
import os
import sys
import time

from . import recorder as recorders
from .children import Children, place_for
from .constants import CHILD_ITEM, MODULE, SCRIPT, VERSION
from .entry import Outcome, load, run
from .failures import FailureWriter
from .guard import Guard, make_policy
from .limits import apply_limits, lift_limits, limit_files
from .log import Log
from .overlay import Overlay, no_bytecode
from .redact import Redactor
from .report import Report
from .scope import Scope
from .spec import read_spec, spec_of_child
from .statics import quote
from .values import Renderer
from .whereabouts import answer_when_asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, Optional

    from .wire import PostMortem, RunSpec

OWN = os.path.dirname(os.path.abspath(__file__))
_getpid, _time = os.getpid, time.time  # a program may mock them, and then fork


class Setup:
    """What a run consists of, ready to go. `outcome` is empty until the entry has ended."""

    def __init__(self, spec: RunSpec, log: Optional[Log] = None) -> None:
        """Raises ValueError for a specification that cannot be met, OSError when there can be no log."""
        limits = spec.record_limits
        redactor = Redactor(os.environ)
        renderer = Renderer(limits.value_chars, limits.value_items, limits.value_depth, redactor)
        scope = Scope(spec.traced, spec.excluded, spec.cwd, OWN)
        self.spec = spec
        self.redactor = redactor
        self.scope = scope
        self.log = log if log is not None else Log(spec.log, limits.log_bytes)
        self.choice = recorders.choose(spec, self.log, scope, renderer)
        writer = FailureWriter(scope, renderer, OWN)
        self.children = Children(self.log, spec.log)
        keep, note = spec.postmortem is not None, self.children.note_item
        self.report = Report(self.log, writer, self.choice.recorder, keep, note)
        self.overlay = Overlay(spec.overlay)
        self.staging = False  # whether forked children are candidates, which go on with the log
        self.guard: Optional[Guard] = None
        if spec.guard:
            policy = make_policy(spec.allow, spec.scratch)
            self.guard = Guard(policy, self.log, scope, self.report.note_blocked, redactor.hide)
        self.outcome: List[Outcome] = []


def run_file(path: str, loaded: Callable[[], None]) -> None:
    """Runs the specification in the file and exits as the program does. `loaded` is called when all of
    our modules that the run needs are there."""
    with open(path, encoding="utf-8") as file:
        spec = read_spec(file.read())
    load(spec.kind)
    os.chdir(spec.cwd)
    apply_limits(spec.process_limits)
    setup = Setup(spec)
    limit_files(spec.process_limits, setup.log.limit)
    loaded()
    answer_when_asked(spec)
    setup.children.invite(path)
    atexit.register(_finish, setup)
    _exit(setup, _execute(setup))


def run_request(spec: RunSpec, stop_first: bool, prepared: Optional[Callable[[Setup], None]] = None) -> int:
    """One request of a warm worker, in its forked child; returns the exit code. Ends with "end" in
    the log; the caller leaves by `os._exit`, since exit handlers here would be the parent's.
    `prepared` gets the setup before anything runs."""
    apply_limits(spec.process_limits)
    setup = Setup(spec)
    limit_files(spec.process_limits, setup.log.limit)
    if prepared is not None:
        prepared(setup)
    outcome = _execute(setup, stop_first)
    setup.report.end(outcome.status, _exit_code(outcome), outcome.message)
    return _exit_code(outcome)


def join_run(path: str) -> None:
    """In a Python that the program started, before any of its own code: puts all in place for it, by the
    specification of the program's run. Raises as `Setup` does, and OSError when there is no such file."""
    with open(path, encoding="utf-8") as file:
        spec = read_spec(file.read())
    place = place_for(spec.log) if spec.record else None
    spec = spec_of_child(spec, os.getcwd(), record=place is not None)
    setup = Setup(spec, Log(place or "", spec.record_limits.log_bytes if place else 1))
    setup.children.invite(path)
    item = os.environ.get(CHILD_ITEM, "")
    setup.children.item = int(item) if item.isdecimal() else 0
    atexit.register(_finish, setup)
    _put_in_place(setup)


def _execute(setup: Setup, stop_first: bool = False) -> Outcome:
    _put_in_place(setup)
    return run(setup.spec, setup.report, setup.overlay, stop_first)


def _put_in_place(setup: Setup) -> None:
    _begin(setup)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            after_in_child=lambda: _go_on_in_child(setup), after_in_parent=lambda: _tell_of_child(setup)
        )
    no_bytecode()
    setup.overlay.install()
    sys.addaudithook(_audit_hook(setup))
    setup.choice.recorder.start()


def _begin(setup: Setup) -> None:
    log, choice = setup.log, setup.choice
    version = ".".join(map(str, sys.version_info[:3]))
    log.note(
        f'["begin",{{"version":{VERSION},"python":{quote(version)},"pid":{_getpid()},'
        f'"recorder":"{choice.name}","reason":{quote(choice.reason)},"started":{_time():.6f},"t0":{log.t0}}}]\n'
    )
    if setup.children.item:
        log.note(f'["item",{setup.children.item},"","",0]\n')


def _audit_hook(setup: Setup) -> Any:
    """One hook for the recorder and the guard; it is never taken off again (Python has no way to).

    It is called for every audited event, and the recorder's own `sys._getframe` is one: so it has to
    find out fast that an event is of no interest.
    """
    recorder, getframe = setup.choice.recorder, sys._getframe

    def settrace_called(event: str, args: Any) -> None:
        caller = getframe(2)
        if not caller.f_code.co_filename.startswith(OWN):
            recorder.other_tracer(caller)

    handlers = setup.children.handlers()
    for event, check in (setup.guard.handlers() if setup.guard is not None else {}).items():
        handlers[event] = _one_then_other(check, handlers.get(event))
    handlers["exec"] = lambda event, args: recorder.watch(args[0])
    handlers["sys.settrace"] = settrace_called
    handler_of = handlers.get

    def hook(event: str, args: Any) -> None:
        handler = handler_of(event)
        if handler is not None:
            handler(event, args)

    return hook


def _one_then_other(check: Any, then: Any) -> Any:
    """What the guard blocks does not happen, and nothing is told of it."""
    if then is None:
        return check

    def both(event: str, args: Any) -> None:
        check(event, args)
        then(event, args)

    return both


def _exit_code(outcome: Outcome) -> int:
    """The exit status that the interpreter makes of it."""
    code = outcome.exit
    return int(code) if isinstance(code, int) else 0 if code is None else 1


def _exit(setup: Setup, outcome: Outcome) -> None:
    """Leaves as the program does. `atexit` runs its handlers last in, first out, after the program's
    threads were joined: ours was the first, so the end is told when all has been done."""
    setup.outcome.append(outcome)
    if setup.spec.postmortem is not None and setup.report.first_failure is not None:
        _finish(setup)
        _stand_still(setup, setup.spec.postmortem, setup.report.first_failure)
    if setup.spec.kind in (SCRIPT, MODULE):
        setup.choice.recorder.go_on()
    if outcome.interrupted:
        sys.excepthook = lambda *_: None  # the traceback was shown; the interpreter makes a signal of it
        raise KeyboardInterrupt
    sys.exit(outcome.exit)  # type: ignore[arg-type]


def _finish(setup: Setup) -> None:
    setup.choice.recorder.stop()
    while setup.outcome:
        outcome = setup.outcome.pop()
        setup.report.end(outcome.status, _exit_code(outcome), outcome.message)


def _stand_still(setup: Setup, where: PostMortem, failure: BaseException) -> None:
    from .postmortem import stop_at

    lift_limits()
    stop_at(failure, where, setup.log, setup.scope, guard=setup.guard, redactor=setup.redactor)


def _go_on_in_child(setup: Setup) -> None:
    """A forked child of the program is another program, with a log of its own. Candidates of a stage take
    theirs themselves."""
    if setup.staging:
        return
    guard = setup.guard
    awake = guard is not None and not guard.suspended
    if guard is not None:
        guard.suspended = True
    try:
        if not _take_log(setup):
            setup.log.close()
            setup.choice.recorder.stop()
    finally:
        if guard is not None:
            guard.suspended = not awake


def _take_log(setup: Setup) -> bool:
    """Whether a forked child has a log of its own from here on."""
    try:
        recorder = setup.choice.recorder
        place = setup.children.place() if recorder.on else None
        setup.spec = spec_of_child(setup.spec, setup.spec.cwd, record=place is not None)
        if place is None:
            return False
        setup.log.begin_anew(place, setup.spec.record_limits.log_bytes)
        _begin(setup)
        recorder.begin_anew(setup.spec.record_limits.events)
    except Exception:  # of whatever kind: the log of the parent must not be written to
        return False
    return True


def _tell_of_child(setup: Setup) -> None:
    if not setup.staging:
        setup.children.forked()
