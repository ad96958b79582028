"""Watches for side effects by an audit hook: blocks them and keeps a ledger of what was tried.

A guard, and not more than that: it is there for programs that run on save, which mean no harm and
should not send a mail or overwrite a file half way through an edit. It is no sandbox.
"""

from __future__ import annotations

import sys

from .guard_rules import RULES, Policy, Verdict
from .log import Log
from .scope import Scope
from .statics import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, Optional

LEDGER = 100
"""So many tries are written down; the blocked ones always are."""

_HINTS = {
    "network": 'allow "network" for this workspace, or replace the connection in the test',
    "subprocess": 'allow "subprocess" for this workspace, or replace the command in the test',
    "delete": 'remove only what is in the folder for temporary files, or allow "write:{}" for this workspace',
    "write": 'write below the folder for temporary files, or allow "write:{}" for this workspace',
    "kill": "only the program's own processes may be signalled",
    "registry": "the registry may not be changed by a run on save",
}


class SideEffectBlocked(BaseException):
    """Not an Exception, so that `except Exception` in the program does not take it for an error."""


class Guard:
    """`suspended` lets everything pass: for the debugger, after the program has ended."""

    def __init__(
        self,
        policy: Policy,
        log: Log,
        scope: Scope,
        on_block: "Callable[[], None]",
        hide: "Callable[[str], tuple[str, bool]]",
    ) -> None:
        self._policy = policy
        self._hide = hide
        self._log = log
        self._scope = scope
        self._on_block = on_block
        self._written = 0
        self.suspended = False

    def handlers(self) -> Dict[str, Callable[[str, Any], None]]:
        """Audit event -> what to call with it and its arguments."""
        return dict.fromkeys(RULES, self._check)

    def _check(self, event: str, args: Any) -> None:
        """Raises SideEffectBlocked, or PermissionError where a library would expect it."""
        if self.suspended:
            return
        frame = _caller()
        verdict: "Optional[Verdict]" = RULES[event](self._policy, args, frame) if frame is not None else None
        if verdict is None:
            return
        verdict.detail = self._hide(verdict.detail)[0]  # a command line may hold a password
        path, line = self._nearest_user_frame(frame)
        self._write_down(verdict, path, line)
        if verdict.allowed:
            return
        if verdict.soft or not path:  # without a frame of the user's, it is a library's or a plugin's doing
            raise PermissionError(13, f"Backtrail's guard: {verdict.kind} is not allowed", verdict.detail)
        self._on_block()
        raise SideEffectBlocked(_explain(verdict, path, line))

    def _write_down(self, verdict: Verdict, path: str, line: int) -> None:
        self._written += 1
        if verdict.allowed and self._written > LEDGER:
            return
        if self._written > 10 * LEDGER:
            return
        allowed = "true" if verdict.allowed else "false"
        self._log.note(
            f'["guard",{{"kind":"{verdict.kind}","detail":{quote(verdict.detail)},"path":{quote(path)},"line":{line},'
            f'"allowed":{allowed},"t":{self._log.now()}}}]\n'
        )

    def _nearest_user_frame(self, frame: Any) -> "tuple[str, int]":
        while frame is not None:
            if self._scope.traces(frame.f_code.co_filename):
                return self._scope.of(frame.f_code.co_filename).path, frame.f_lineno or 0
            frame = frame.f_back
        return "", 0


def _caller() -> Any:
    """The frame that an audit event comes from; None where it comes from the interpreter itself, which opens
    the script that it was started with."""
    try:
        return sys._getframe(3)
    except ValueError:
        return None


def _explain(verdict: Verdict, path: str, line: int) -> str:
    where = f" (line {line} of {path})" if path else ""
    hint = _HINTS[verdict.kind].format(verdict.detail)
    return f"blocked by Backtrail's guard: {verdict.what} {verdict.detail}{where}. What to do: {hint}."


def make_policy(allow: "Iterable[str]", scratch: str) -> Policy:
    """`allow`: "network", "subprocess", "write:PATH"; what is not known is an error (ValueError)."""
    granted = list(allow)
    paths = [entry[len("write:") :] for entry in granted if entry.startswith("write:")]
    kinds = {entry for entry in granted if not entry.startswith("write:")}
    unknown = kinds - {"network", "subprocess"}
    if unknown:
        raise ValueError(
            f'cannot allow {sorted(unknown)}: known are "network", "subprocess" and "write:PATH"'
        )
    return Policy(frozenset(kinds), scratch, tuple(paths))
