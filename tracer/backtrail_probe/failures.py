"""From an exception to the "failure" record: the frames of its traceback with their variables.

The variables are rendered at the end, so they are complete whatever the caps left out.
"""

from __future__ import annotations

from . import statics
from .scope import Scope
from .statics import quote
from .values import Renderer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Tuple

    Span = Tuple[int, int, int, int]  # line, end line, column, end column

_FIRST, _LAST = 20, 30
_CHAIN = 10


class FailureWriter:
    """Writes failures as JSON text. `own` is the probe's folder, whose frames are dropped."""

    def __init__(self, scope: Scope, renderer: Renderer, own: str) -> None:
        self._scope = scope
        self._renderer = renderer
        self.render = renderer.render
        self.hide = renderer.hide
        self.learn = renderer.learn
        self._own = own

    def record(
        self,
        item: "Optional[int]",
        exc: BaseException,
        expected: "Optional[str]" = None,
        actual: "Optional[str]" = None,
        first_frame: "Optional[str]" = None,
    ) -> str:
        """`expected` and `actual` are values as JSON text, `first_frame` is a frame to put first."""
        message = self._message(exc)
        leaf = _leaf(exc)
        frames = [first_frame] if first_frame else []
        frames += self._frames(statics.traceback_of(leaf))
        if isinstance(leaf, SyntaxError):
            frames.extend(self._syntax_frame(leaf))
        shown, left_out = _shorten(frames)
        if left_out:
            message += f" ({left_out} frames in between are left out)"
        kind, chain = statics.type_name(type(exc)), self._chain(exc)
        return failure_text(item, kind, message, shown, chain=chain, values=(expected, actual))

    def _message(self, exc: BaseException) -> str:
        message = self._renderer.message(exc)
        leaf = _leaf(exc)
        if leaf is not exc:
            message += f" (first: {statics.type_name(type(leaf))}: {self._renderer.message(leaf)})"
        return message

    def _frames(self, traceback: Any) -> List[str]:
        """Outermost first. What stands before the first traced frame is the test runner's, and left out."""
        frames: List[str] = []
        first: Optional[int] = None
        while traceback is not None:
            code = traceback.tb_frame.f_code
            if not code.co_filename.startswith(self._own):
                if first is None and self._scope.traces(code.co_filename):
                    first = len(frames)
                frames.append(self._frame(traceback, code))
            traceback = traceback.tb_next
        return frames[first or 0 :]

    def _frame(self, traceback: Any, code: Any) -> str:
        place = self._scope.of(code.co_filename)
        held = self._locals(traceback.tb_frame, code) if place.traced else "{}"
        name = getattr(code, "co_qualname", code.co_name)
        return _frame_text(place.path, _position(traceback, code), name, held, place.traced)

    def _locals(self, frame: Any, code: Any) -> str:
        from .recorder.state import plain_names

        found: "Dict[str, Any]" = frame.f_locals
        if not code.co_flags & 1:
            found = plain_names(found)
        pairs = [(name, value) for name, value in list(found.items()) if not name.startswith("@")]
        for name, value in pairs:
            if type(value) is str:
                self._renderer.learn_by_name(name, value)
        return "{" + ",".join(f"{quote(name)}:{self._renderer.render(value)}" for name, value in pairs) + "}"

    def _syntax_frame(self, exc: SyntaxError) -> "List[str]":
        """A syntax error has no frame in the file that is wrong: one is made for it."""
        if type(exc.filename) is not str or type(exc.lineno) is not int:
            return []
        place = self._scope.of(exc.filename)
        column = (exc.offset or 0) - 1
        return [_frame_text(place.path, (exc.lineno, exc.lineno, column, -1), "<module>", "{}", place.traced)]

    def _chain(self, exc: BaseException) -> "List[str]":
        chain: "List[str]" = []
        seen = {id(exc)}
        before = statics.previous_exception(exc)
        while before is not None and id(before) not in seen and len(chain) < _CHAIN:
            seen.add(id(before))
            chain.append(f"{statics.type_name(type(before))}: {self._renderer.message(before)}")
            before = statics.previous_exception(before)
        return chain


def _leaf(exc: BaseException) -> BaseException:
    """Of an exception group, the first exception in it that is not a group."""
    seen = 0
    while statics.is_group(exc) and seen < _CHAIN:
        inner = statics.group_members(exc)
        if not inner:
            break
        exc, seen = inner[0], seen + 1
    return exc


def _shorten(frames: "List[str]") -> "tuple[List[str], int]":
    left_out = len(frames) - _FIRST - _LAST
    return (frames, 0) if left_out <= 0 else (frames[:_FIRST] + frames[-_LAST:], left_out)


def _position(traceback: Any, code: Any) -> Span:
    line = traceback.tb_lineno or 0
    if not hasattr(code, "co_positions"):
        return line, line, -1, -1
    from itertools import islice

    found = next(islice(code.co_positions(), traceback.tb_lasti // 2, None), (None,) * 4)
    first, last, column, end = found
    return first or line, last or line, -1 if column is None else column, -1 if end is None else end


def _frame_text(path: str, span: Span, name: str, held: str, traced: bool) -> str:
    line, end_line, column, end_column = span
    return (
        f'{{"path":{quote(path)},"line":{line},"end_line":{end_line},"col":{column},"end_col":{end_column},'
        f'"name":{quote(name)},"locals":{held},"traced":{"true" if traced else "false"}}}'
    )


def made_up_frame(path: str, span: Span, name: str) -> str:
    """A frame for a place that was run without having one, such as a doctest's example."""
    return _frame_text(path, span, name, "{}", True)


def failure_text(
    item: Optional[int],
    kind: str,
    message: str,
    frames: List[str],
    *,
    chain: Sequence[str] = (),
    values: Tuple[Optional[str], Optional[str]] = (None, None),
) -> str:
    """The record. `frames` and `values` (expected, actual) are JSON text, `chain` is plain."""
    expected, actual = values
    return (
        f'["failure",{{"item":{"null" if item is None else item},"type":{quote(kind)},'
        f'"message":{quote(message)},"frames":[{",".join(frames)}],"chain":[{",".join(map(quote, chain))}],'
        f'"expected":{expected or "null"},"actual":{actual or "null"}}}]\n'
    )
