"""Generated programs for the slicer: straight code with calls, shared lists and objects, and some branches.

A program is a module `made.py` with functions `program_0` … that take nothing and return what they hold.
"""

from __future__ import annotations

from hypothesis import strategies as st

NUMBERS = ("a", "b", "c")
LISTS = ("xs", "ys")
OBJECTS = ("p", "q")
RESULT = "(a, b, c, xs, ys, p.n, q.n, p.items, q.items)"
LEAST = "a, b, c = 1, 2, 3"

HELPERS = """\
SHARED = [1]


class Box:
    def __init__(self, n):
        self.n = n
        self.items = []

    def put(self, item):
        self.n = self.n + 1
        self.keep(item)

    def keep(self, item):
        self.items.append(item)

    def size(self):
        return len(self.items) + self.n


def double(number):
    waste = number - 1
    result = number * 2
    waste = waste + 1
    return result


def push(target, number):
    unused = number
    target.append(number)


def push_both(one, other):
    push(one, 7)
    push(other, 8)


def remember(number):
    SHARED.append(number)


def recall():
    return SHARED[-1]


def swap(one, other):
    try:
        return other, one
    finally:
        done = True


def first(target):
    for item in target:
        if item > 2:
            return item
    return 0


def counted(number):
    for i in range(number % 4):
        yield i + number
"""

_number = st.sampled_from(NUMBERS)
_list = st.sampled_from(LISTS)
_object = st.sampled_from(OBJECTS)
_small = st.integers(-3, 9)


def _made(template: str, **parts: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    return st.builds(template.format, **parts)


SIMPLE = st.one_of(
    _made("{t} = {v}", t=_number, v=_small),
    _made("{t} = {s} + {v}", t=_number, s=_number, v=_small),
    _made("{t} += {s}", t=_number, s=_number),
    _made("{t}, {s} = {s}, {t}", t=_number, s=_number),
    _made("{t} = double({s})", t=_number, s=_number),
    _made("{t}, {u} = swap({s}, {t})", t=_number, u=_number, s=_number),
    _made("{x}.append({s})", x=_list, s=_number),
    _made("{x} = {y}", x=_list, y=_list),
    _made("{x} = [{s}, {v}]", x=_list, s=_number, v=_small),
    _made("{x} += [{s}]", x=_list, s=_number),
    _made("{x}[-1] = {s}", x=_list, s=_number),
    _made("{t} = {x}[-1]", t=_number, x=_list),
    _made("{t} = first({x})", t=_number, x=_list),
    _made("push({x}, {s})", x=_list, s=_number),
    _made("push_both({x}, {y})", x=_list, y=_list),
    _made("{p} = {q}", p=_object, q=_object),
    _made("{p} = Box({s})", p=_object, s=_number),
    _made("{p}.n = {s}", p=_object, s=_number),
    _made("{t} = {p}.n", t=_number, p=_object),
    _made("{p}.put({s})", p=_object, s=_number),
    _made("{t} = {p}.size()", t=_number, p=_object),
    _made("{x} = {p}.items + [{s}]", x=_list, p=_object, s=_number),
    _made("push({p}.items, {s})", p=_object, s=_number),
    _made("{x} = {p}.items or [0]", x=_list, p=_object),
    _made("remember({s})", s=_number),
    _made("{t} = recall()", t=_number),
    _made("{x} = [0, *counted({s})]", x=_list, s=_number),
)


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


BLOCKS = st.one_of(
    SIMPLE.map(lambda line: [line]),
    st.builds(
        lambda a, b, body, other: [f"if {a} > {b}:", *_indented(body), "else:", *_indented(other)],
        _number,
        _number,
        st.lists(SIMPLE, min_size=1, max_size=2),
        st.lists(SIMPLE, min_size=1, max_size=2),
    ),
    st.builds(
        lambda n, x, body: [f"for {n} in counted({x}):", *_indented(body)],
        _number,
        _number,
        st.lists(SIMPLE, min_size=1, max_size=3),
    ),
    st.builds(
        lambda s, body: ["try:", f"    {s} = 6 // {s}", "except ZeroDivisionError:", *_indented(body)],
        _number,
        st.lists(SIMPLE, min_size=1, max_size=2),
    ),
)

PROGRAMS = st.lists(BLOCKS, min_size=4, max_size=12).map(lambda blocks: [line for b in blocks for line in b])


def module(programs: list[list[str]]) -> str:
    """The module's text. Every program begins with all its names, so that no removal makes one unknown."""
    made = [HELPERS]
    for number, lines in enumerate(programs):
        body = [
            "del SHARED[1:]",
            LEAST,
            "xs = [4]",
            "ys = [5]",
            "p = Box(1)",
            "q = Box(2)",
            *lines,
            f"return {RESULT}",
        ]
        made.append(f"def program_{number}():\n" + "\n".join(_indented(body)) + "\n")
    return "\n\n".join(made)
