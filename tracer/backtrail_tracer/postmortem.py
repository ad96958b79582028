"""A program that stands still at its failure, under debugpy: it answers what is asked of it, and can be
handed to a person's debugger.

When this process goes away, the socket and the pipes to the adapter close, and the program with them.
"""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from backtrail_tracer.adapter import READY_S, Adapter, debugpy_folder
from backtrail_tracer.dap import DapError
from backtrail_tracer.expressions import is_safe_expression
from backtrail_tracer.handover import Address, Handover, is_probes
from backtrail_tracer.program import Program
from backtrail_tracer.trace import Value

__all__ = ["Adapter", "Address", "Refused", "StoppedFrame", "StoppedProgram", "debugpy_folder"]

_ANSWER_S = 5.0
_EVALUATE_S = 1.0
_ASKED_S = 10.0  # the probe interrupts what a person asked for well before that
KEPT_S = 600.0
"""How long a program is kept while no debugger is attached."""

_LET_GO_S = 10.0
_TEXT = 2000


class Refused(ValueError):
    """The expression could run code of the program, and nobody asked for that; says what it would run."""


@frozen
class StoppedFrame:
    """A frame of the stopped program; `id` is DAP's and holds as long as the program is stopped."""

    id: int
    name: str
    path: Path | None
    line: int


@define(eq=False)
class StoppedProgram:
    """Owned by the caller of `Session.run`, who must `close` it.

    It is kept for a limited time, except while a person's debugger is attached. `on_released` is called
    when that time is over.
    """

    _program: Program
    _adapter: Adapter
    _resources: AsyncExitStack
    on_released: Callable[[], None] | None = None
    _retired: bool = field(init=False, default=False)
    _stopping: asyncio.Task[int] = field(init=False)
    _timer: asyncio.TimerHandle = field(init=False)
    _closing: asyncio.Task[None] | None = field(init=False, default=None)
    _handover: Handover | None = field(init=False, default=None)
    _ending: set[asyncio.Task[None]] = field(init=False, factory=set)

    def __attrs_post_init__(self) -> None:
        self._stopping = asyncio.ensure_future(self._stop())
        self._stopping.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._keep_for_a_while()

    @property
    def host(self) -> str:
        return self._adapter.host

    @property
    def port(self) -> int:
        return self._adapter.port

    @property
    def token(self) -> str:
        return self._adapter.token

    @property
    def pid(self) -> int:
        return self._program.pid

    @property
    def output(self) -> str:
        """What it has printed on stdout since it was started."""
        return self._program.stdout

    @property
    def is_alive(self) -> bool:
        return self._closing is None and not self._program.has_exited

    @property
    def is_claimed(self) -> bool:
        """Whether a person's debugger is attached."""
        return self._handover is not None and self._handover.is_claimed

    @property
    def stands(self) -> bool:
        """Whether it still stands at its failure: a debugger may have moved it on."""
        return self.is_alive and not (self._handover is not None and self._handover.moved)

    # Standing still.

    async def _stop(self) -> int:
        """The id of the thread that stands at the failure."""
        await self._adapter.configure()
        return int((await self._stopped())["threadId"])

    async def _stopped(self) -> dict[str, Any]:
        assert self._adapter.client is not None
        try:
            async with asyncio.timeout(READY_S):
                return await asyncio.shield(self._adapter.client.event("stopped"))
        except TimeoutError as error:
            raise DapError("the program did not stop at its failure") from error

    async def _ready(self) -> int:
        if not self.is_alive:
            raise DapError("the stopped program has ended")
        if not self.stands:
            raise DapError("a debugger has moved the program on from its failure")
        return await asyncio.shield(self._stopping)

    async def _request(self, command: str, arguments: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        await self._ready()
        assert self._adapter.client is not None
        return await self._adapter.client.request(command, arguments, timeout_s)

    async def _stack(self) -> list[dict[str, Any]]:
        body = await self._request("stackTrace", {"threadId": await self._ready()}, _ANSWER_S)
        return list(body.get("stackFrames", ()))

    async def frames(self) -> tuple[StoppedFrame, ...]:
        """The frames at the failure, innermost first, without the probe's own. Raises DapError when the
        program is gone."""
        return tuple(_frame(each) for each in await self._stack() if not is_probes(each))

    async def scopes(self, frame: StoppedFrame) -> dict[str, dict[str, Value]]:
        """Scope name ("Locals", "Globals") -> variable -> value, as debugpy renders it, which may run a
        `__repr__` of the program. Raises DapError."""
        body = await self._request("scopes", {"frameId": frame.id}, _ANSWER_S)
        return {
            str(scope["name"]): await self._variables(int(scope["variablesReference"]))
            for scope in body.get("scopes", ())
        }

    async def _variables(self, reference: int) -> dict[str, Value]:
        body = await self._request("variables", {"variablesReference": reference}, _ANSWER_S)
        return {
            str(each["name"]): _value([each.get("type") or "", each.get("value") or ""])
            for each in body.get("variables", ())
        }

    async def evaluate(self, expression: str, frame: StoppedFrame, *, asked_for: bool = False) -> Value:
        """The value of an expression in a frame, rendered and redacted like a recorded one.

        What would run code of the program (a call, a property, an operator of its classes) is refused
        (Refused) unless the person asked for exactly that; then it has a few seconds, and the guard
        watches. Raises DapError when the expression raises, takes too long, or the program is gone.
        """
        if asked_for:
            return _answer(await self._run(expression, frame))
        if not is_safe_expression(expression):
            raise Refused(f"`{expression}` could run code of the program")
        # Without a frame it is a thread of the debugger's that looks, so that it can do so while the
        # stopped thread is busy with what a person asked for.
        look = {"expression": _probes("look", frame, expression), "context": "repl"}
        return _answer(str((await self._request("evaluate", look, _EVALUATE_S)).get("result")))

    async def _run(self, expression: str, frame: StoppedFrame) -> str:
        """In the thread that stands still, from a frame of the probe's: its built-ins are its own."""
        ours = next((int(each["id"]) for each in await self._stack() if is_probes(each)), None)
        if ours is None:
            raise DapError("the probe's own frame is not on the stack")
        ask = {"expression": _probes("ask", frame, expression), "frameId": ours, "context": "watch"}
        body = await self._request("evaluate", ask, _ASKED_S)
        try:
            return str(ast.literal_eval(str(body.get("result"))))
        except (ValueError, SyntaxError) as error:
            raise DapError("the answer of the program makes no sense") from error

    # Handing it over.

    async def hand_over(self) -> Address:
        """Where a person's debugger can attach to this program, by a DAP `attach` with the token.

        A debugger that disconnects leaves the program standing, if it has not moved it; else the program
        goes on to its end. Raises DapError when the program is gone or does not stand, OSError.
        """
        await self._ready()
        stopped = await self._stopped()
        if self._handover is None:
            assert self._adapter.client is not None
            self._handover = Handover(
                self._adapter.client,
                self._adapter.capabilities,
                stopped,
                on_claim=self._claimed,
                on_leave=self._left,
                on_terminate=self._start_closing,
            )
            self._task(self._close_when_over())
        if not self.is_claimed:
            self._keep_for_a_while()
        return await self._handover.open()

    def _claimed(self) -> None:
        self._timer.cancel()

    def _left(self) -> None:
        if self._retired:
            self._start_closing()
        elif self.stands:
            self._keep_for_a_while()
        elif self.is_alive:
            self._task(self._let_go())

    async def _let_go(self) -> None:
        """Without breakpoints the program goes on to its end, for which it has a few seconds."""
        assert self._adapter.client is not None
        with suppress(DapError):
            await self._adapter.client.request("disconnect", {"terminateDebuggee": False}, _ANSWER_S)
        await self._program.wait(_LET_GO_S)
        self._start_closing()

    async def _close_when_over(self) -> None:
        """A program that a debugger let run on ends by itself; what belonged to it goes then as well."""
        while not await self._program.wait(KEPT_S):
            pass
        self._start_closing()

    def _task(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    # Its end.

    def _keep_for_a_while(self) -> None:
        if hasattr(self, "_timer"):
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(KEPT_S, self._release)

    def _release(self) -> None:
        if self.is_alive and self.on_released is not None:
            self.on_released()
        self._start_closing()

    def _start_closing(self) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())

    async def retire(self) -> None:
        """Another run takes its place: closes it, or lets a debugger that is attached finish first."""
        self._retired = True
        if not self.is_claimed:
            await self.close()

    async def close(self) -> None:
        """Ends the program with its children and the adapter; safe to call twice."""
        self._start_closing()
        assert self._closing is not None
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._timer.cancel()
        self._stopping.cancel()
        for task in list(self._ending):
            task.cancel()
        try:
            await self._program.end()
        finally:
            if self._handover is not None:
                self._handover.close()
            await self._resources.aclose()


def _probes(function: str, frame: StoppedFrame, expression: str) -> str:
    """A call of one of the two functions that the probe has ready for this (see its postmortem.py)."""
    module = '__import__("sys").modules["backtrail_probe.postmortem"]'
    return f"{module}.{function}({frame.id}, {expression!a})"


def _answer(text: str) -> Value:
    """What the probe said to `look` or `ask`. Raises Refused and DapError. It came from the program's
    process, so it is not trusted to make sense."""
    try:
        answer = json.loads(text)
        if "refused" in answer:
            raise Refused(str(answer["refused"]))
        if "raised" in answer:
            raise DapError(str(answer["raised"]))
        return _value(answer["value"])
    except Refused:
        raise
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise DapError("the answer of the program makes no sense") from error


def _frame(about: Mapping[str, Any]) -> StoppedFrame:
    path = (about.get("source") or {}).get("path")
    # debugpy marks the frame that it thinks is the current one in its name.
    name = str(about["name"]).removesuffix(" (Current frame)")
    return StoppedFrame(int(about["id"]), name, Path(path) if path else None, int(about["line"]))


def _value(rendered: Any) -> Value:
    """From [type, text] or [type, text, {…}], as in the log."""
    kind, text, *more = rendered
    known: Mapping[str, Any] = more[0] if more else {}
    length, shape = known.get("len"), known.get("shape")
    return Value(
        str(kind),
        str(text)[:_TEXT],
        length=length if isinstance(length, int) else None,
        shape=str(shape) if shape else None,
        cut=bool(known.get("cut")) or len(str(text)) > _TEXT,
        redacted=bool(known.get("redacted")),
    )
