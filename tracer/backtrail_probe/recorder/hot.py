"""The way of most line events where every hit is kept: a callback that calls nothing of ours.

It is what `Monitoring._line` and `Sink.step` do for a frame that holds nothing mutable and a line that has
run often before; for whatever else there may be it hands the event on to them.
"""

from __future__ import annotations

from .sink import MISSING, WHOLE, Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


def line_callback(sink: Sink, find: "Callable[[Any], Any]", slow: "Callable[[Any, int], Any]") -> Any:
    """The callback for LINE events. `find` gives what is known of a code object, `slow` takes any event."""
    write, ints, keys, told = sink.write, sink.ints, sink.keys, sink.told
    last: Any = (None, None)

    def line(code: Any, number: int) -> Any:
        nonlocal last
        found = last
        if found[0] is not code:
            found = last = code, find(code)
        state = found[1].fast if found[1] is not None else None
        if state is None or not sink.alone or state.names is None:
            return slow(code, number)
        hits = found[1].hits
        hit = hits.get(number, 0) + 1
        short = state.short.get(number)
        if short is None or not hit & WHOLE:
            return slow(code, number)
        hits[number] = hit
        state.line = number
        parts = ""
        for name in state.names:
            try:
                value = state.variables[name]
            except KeyError:
                state.objects.pop(name, None)
                state.texts.pop(name, None)
                continue
            old = state.objects.get(name, MISSING)
            if old is value:
                continue
            if type(value) is int:
                state.objects[name] = value
                if type(old) is int and old == value:
                    continue
                text = ints[value]
            else:
                text = told(state, name, value)
                if state.texts.get(name) == text:
                    continue
            state.texts[name] = text
            parts = f"{parts},{keys[name]}:{text}" if parts else f"{keys[name]}:{text}"
        state.names = short[2] if state.plain else None
        try:
            write(f"{short[0]}{parts}}}]\n".encode() if parts else short[1])
        except ValueError:
            sink.no_room()
        return None

    return line
