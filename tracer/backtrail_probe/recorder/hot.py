"""The way of most line events where every hit is kept: a callback that calls nothing of ours.

It is what `Monitoring._line` and `Sink.step` do for a frame that holds nothing mutable and a line that has
run often before; for whatever else there may be it hands the event on to them.
"""

from __future__ import annotations

from time import perf_counter_ns as _clock

from .sink import MISSING, WHOLE, Sink
from .state import FrameState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

LOOK_AGAIN = 255
"""At each 256th hit all variables are looked at: a program may set those of a frame behind its bytecode."""

COMPACT = 1 << 30  # an int below it is compared with another in no time
SMALL_BITS = 62
"""An int of no more bits is shown in full, whatever the caps."""


def line_callback(  # noqa: PLR0915  (a call to a part of it would cost more than the part)
    sink: Sink, find: "Callable[[Any], Any]", slow: "Callable[[Any, int], Any]"
) -> Any:
    """The callback for LINE events. `find` gives what is known of a code object, `slow` takes any event."""
    write, told = sink.write, sink.told
    # The frame of the last event, while it is the one that runs (`info.fast`). Its variables are not kept
    # here: they would keep the frame alive.
    nothing: Any = None
    at = info = state = objects = texts = shorts = nothing

    def other(code: Any, number: int) -> Any:
        """Hands an event on, and takes up its frame."""
        nonlocal at, info, state, objects, texts, shorts
        answer = slow(code, number)
        info = find(code)
        state = info.fast if info is not None else None
        at = code if state is not None else None
        if state is not None:
            objects, texts, shorts = state.objects, state.texts, state.short
        return answer

    def line(code: Any, number: int) -> Any:  # noqa: PLR0912
        if code is not at or info.fast is not state or state.names is None or not sink.alone:
            return other(code, number)
        hits = info.hits
        hit = hits.get(number, 0) + 1
        short = shorts.get(number)
        if short is None or not hit & LOOK_AGAIN:
            return other(code, number)
        hits[number] = hit
        state.line = number
        parts = ""
        try:
            for name, key, opening in state.names:
                try:
                    value = state.variables[name]
                except KeyError:  # it is not set yet, or was deleted
                    objects.pop(name, None)
                    texts.pop(name, None)
                    continue
                old = objects.get(name, MISSING)
                if old is value:
                    continue
                if type(value) is int and (-COMPACT < value < COMPACT or value.bit_length() <= SMALL_BITS):
                    objects[name], texts[name] = value, None
                    if type(old) is int and old == value:
                        continue
                    part = f'{opening}{value}"]'
                else:
                    text = told(state, name, value)
                    if texts.get(name) == text:
                        continue
                    texts[name] = text
                    part = f"{key}:{text}"
                parts = f"{parts},{part}" if parts else part
            state.names = short[2] if state.plain else None
            if not hit & WHOLE:
                _write_whole(sink, state, number, hit, parts)
            else:
                write(f"{short[0]}{parts}}}]\n".encode() if parts else short[1])
        except ValueError:
            sink.no_room()
        except RecursionError:
            sink.alone = False  # there is no room for a call: the event is lost
        except Exception:
            sink.failed()
        return None

    return line


def _write_whole(sink: Sink, state: FrameState, line: int, hit: int, parts: str) -> None:
    """A record with its number and the time, between short ones; those to come are counted in advance."""
    if sink.events_left > WHOLE:
        sink.events_left -= WHOLE
    else:
        state.names = None
    now = (_clock() - sink.t0) // 1000
    sink.emit(f'["line",{state.id},{line},{hit},{now},{{{parts}}},false]\n')
