"""The way of most line events where every hit is kept: a callback that calls nothing of ours.

It is what `Monitoring._line` and `Sink.step` do for a frame that holds nothing mutable, on a way from one
line to the next that was gone before; for whatever else there may be it hands the event on to them. It
tells of a hit by a number in a mapped file (see `wire.py`): no text can be made as quickly.
"""

from __future__ import annotations

from time import perf_counter_ns as _clock

from backtrail_probe.constants import FRAME, INT, REAL, TEXT, TIME

from .sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Tuple

    from backtrail_probe.log import Log

    from .codes import Variable

    Name = Tuple[str, int]  # and where its two bits are in a word
    # A way from one line to the next: the word that tells of it, the same with a changed int, the variable
    # that the first line may set (None: not just one), all of them, the ways on.
    Step = Tuple[int, int, "Optional[str]", "Tuple[Name, ...]", Dict[int, "Step"]]

STRETCH = 64
"""Hits after which the time is told. They are counted in advance."""
LOOK_AGAIN = 16
"""Stretches after which all variables are looked at: a program may set some behind its bytecode."""
MOST_NAMES, MOST_STEPS, MOST_TEXTS = 8, 1 << 15, 4096
LEAST, MOST = -1 << 63, (1 << 63) - 1
"""Of the ints that are told as a word."""

NOWHERE: "Dict[int, Any]" = {}
LINE = 0  # in the ways from a line: the line itself


def line_callback(  # noqa: PLR0915  (a call to a part of it would cost more than the part)
    sink: Sink, log: Log, find: "Callable[[Any], Any]", slow: "Callable[[Any, int], Any]"
) -> Any:
    """The callback for LINE events. `find` gives what is known of a code object, `slow` takes any event.

    Raises OSError when there can be no file of words."""
    place = end = 0  # where the next word will stand, and where a stretch of them ends
    value_place = 0
    frame = 0  # the one that the last words are about
    steps = stretches = 0
    texts: "Dict[str, int]" = {}  # value -> its number
    number_of_texts = 0
    words = log.add_words(lambda: place)
    heads, ints, reals, room, t0 = words.heads, words.ints, words.reals, log.limit, log.t0
    told = sink.told
    sink.write = log.write
    sink.counts, sink.ahead = False, 0
    # Of the frame of the last event, while it is the one that runs (`sink.going` is its code). Its variables
    # are not kept here: they would keep the frame alive.
    nothing: Any = None
    state = objects = nothing
    ways = NOWHERE

    def settle() -> None:
        """Gives back what was counted in advance."""
        nonlocal end
        sink.events_left += end - place
        end = place

    def special(kind: int, value: int) -> None:
        """A word that tells of no hit."""
        nonlocal place, value_place, end
        ints[value_place] = value
        heads[place] = kind
        value_place, place, end = value_place + 1, place + 1, end + 1

    def put_away() -> None:
        """What others may want to know of the frame."""
        nonlocal state
        sink.going = None
        settle()
        if state is not None:
            state.ways, state.names = ways, None
            if ways is not NOWHERE:
                state.line = ways[LINE]
                state.names = state.info.sets.get(state.line)
            state = None

    def take_up(code: Any) -> bool:
        """Goes over to the frame of this code that runs; false where it cannot go on as one did before."""
        nonlocal state, objects, ways, frame, end, stretches
        put_away()
        info = find(code)
        found = info.fast if info is not None and sink.alone else None
        if found is None or found.names is None or found.ways is not info.ways.get(found.line):
            return False
        stretches += 1
        if sink.events_left <= STRETCH or not stretches % LOOK_AGAIN:
            found.names = None
            return False
        if log.position + place * 4 + value_place * 8 > room:
            raise ValueError
        sink.events_left -= STRETCH
        end = place + STRETCH
        if frame != found.id:
            frame = found.id
            special(FRAME, frame)
        special(TIME, (_clock() - t0) // 1000)
        state, objects, ways = found, found.objects, found.ways
        sink.going = code
        return True

    def other(code: Any, number: int) -> Any:
        """Hands an event on, and remembers the way that it went."""
        nonlocal steps
        was, way = state, ways
        put_away()
        answer = slow(code, number)
        info = find(code)
        now = info.fast if info is not None and sink.alone else None
        if now is None or now.names is None:
            return answer
        now.ways = info.ways.setdefault(number, {LINE: number})
        if was is now and way is not NOWHERE and number not in way and steps < MOST_STEPS:
            names = info.sets[way[LINE]]
            if len(names) <= MOST_NAMES:
                steps += 1
                way[number] = _step(sink, steps, number, names, now.ways)
        take_up(code)
        return answer

    def changes(word: int, names: "Tuple[Name, ...]") -> None:
        """Tells of a hit, and of all variables that changed."""
        nonlocal place, value_place, ways
        after = value_place
        variables, shown = state.variables, state.texts
        for name, shift in names:
            try:
                value = variables[name]
            except KeyError:  # it is not set yet, or was deleted
                objects.pop(name, None)
                shown.pop(name, None)
                continue
            old = objects.get(name)
            if old is value and (value is not None or name in objects):
                continue
            kind = type(value)
            if kind is int and LEAST <= value <= MOST:
                objects[name] = value
                if type(old) is int and old == value:
                    continue
                ints[after] = value
                word |= INT << shift
            elif kind is float:
                objects[name], shown[name] = value, None
                alike = type(old) is float and (old == value or value != value)  # noqa: PLR0124  (not a number)
                if alike and repr(old) == repr(value):
                    continue
                reals[after] = value
                word |= REAL << shift
            else:
                text = told(state, name, value)
                if shown.get(name) == text and type(old) is not int:
                    continue
                shown[name] = text
                ints[after] = texts.get(text) or tell(text)
                word |= TEXT << shift
            after += 1
        if not state.plain:
            ways = NOWHERE
        value_place = after
        heads[place] = word
        place += 1

    def tell(text: str) -> int:
        """A value that is no number gets one."""
        nonlocal number_of_texts
        if len(texts) >= MOST_TEXTS:
            texts.clear()
        number_of_texts += 1
        texts[text] = number_of_texts
        sink.write(f'["value",{number_of_texts},{text}]\n'.encode())
        return number_of_texts

    def line(code: Any, number: int) -> Any:
        nonlocal place, value_place, ways
        try:
            if (code is not sink.going or place >= end) and not take_up(code):
                return other(code, number)
            try:
                word, changed, name, names, ways = ways[number]
            except KeyError:
                return other(code, number)
            if name is not None:
                try:
                    value = state.variables[name]
                    old = objects[name]
                except KeyError:
                    changes(word, names)
                    return None
                if old is not value:
                    if type(value) is not int or old == value:
                        changes(word, names)
                        return None
                    try:
                        ints[value_place] = value
                    except ValueError:  # it is too large
                        changes(word, names)
                        return None
                    objects[name] = value
                    heads[place] = changed
                    value_place += 1
                    place += 1
                    return None
            elif names:
                changes(word, names)
                return None
            heads[place] = word
            place += 1
        except (ValueError, IndexError):
            sink.no_room()
        except RecursionError:
            sink.alone = False  # there is no room for a call: the event is lost
            sink.going = None
        except Exception:
            sink.failed()
        return None

    sink.settle = settle
    return line


def _step(sink: Sink, number: int, line: int, names: "Tuple[Variable, ...]", ways: "Dict[int, Any]") -> Step:
    """Tells of a way to a line; `names` are what the line before it may set."""
    keys = ",".join(key for _, key, _ in names)
    sink.write(f'["step",{number},{line},[{keys}]]\n'.encode())
    word = number << 16
    places = tuple((name, 2 * at) for at, (name, _, _) in enumerate(names))
    return word, word | INT, names[0][0] if len(names) == 1 else None, places, ways
