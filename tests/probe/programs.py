"""Random small programs for hypothesis: deterministic, ending, and without output.

Every construct is here whose lines compile alike from 3.9 on; so no comprehension over several lines
and no `return` inside `finally`. `modern` ones have `match` (3.10) and `async` too.
"""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = ("a", "b", "c")
_names = st.sampled_from(NAMES)
_atoms = st.one_of(_names, st.integers(-3, 12).map(str))


@st.composite
def expressions(draw: st.DrawFn) -> str:
    left, right = draw(_atoms), draw(_atoms)
    shapes = (
        "{0}", "{0} + {1}", "{0} * {1}", "{0} - {1}", "[{0}, {1}]", "({0}, {1})", "max({0}, {1})",
        "sum([q * {0} for q in range(3)])", "{{q: {1} for q in range(2)}}", "helper({0})",
        "list(produce({0}))", "(lambda q: q + {0})({1})", "str({0})", "len(items)", "items[{1}]",
        "{0} // {1}",
    )  # fmt: skip
    return draw(st.sampled_from(shapes)).format(left, right)


@st.composite
def statements(draw: st.DrawFn, depth: int, in_loop: bool = False, modern: bool = False) -> list[str]:
    def block(more_loop: bool = False) -> list[str]:
        inner = draw(statements(depth - 1, in_loop or more_loop, modern))
        return ["    " + line for line in inner]

    kinds = ["assign", "assign", "append", "call"]
    if depth > 0:
        kinds += ["if", "ifelse", "for", "while", "try", "finally", "with", "def", "class"]
    if depth > 0 and modern:
        kinds += ["match", "async", "generator", "nonlocal", "recursion", "raise"]
    if in_loop:
        kinds += ["break", "continue"]
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        kind, name, value = draw(st.sampled_from(kinds)), draw(_names), draw(expressions())
        if kind == "assign":
            lines.append(f"{name} = {value}")
        elif kind == "append":
            lines.append(f"items.append({value})")
        elif kind == "call":
            lines.append(f"helper({value})")
        elif kind == "if":
            lines += [f"if {value}:", *block()]
        elif kind == "ifelse":
            lines += [f"if {value}:", *block(), "else:", *block()]
        elif kind == "for":
            count = draw(st.sampled_from((1, 2) if modern else (2, 3, 14)))
            lines += [f"for {name} in range({count}):", *block(True)]
        elif kind == "while":
            turns = f"turns{depth}"
            lines += [f"{turns} = 3", f"while {turns}:", f"    {turns} -= 1", *block(True)]
        elif kind == "try":
            kept = draw(st.sampled_from(("except TypeError:", "except Exception as error:")))
            lines += ["try:", *block(), kept, *block()]
        elif kind == "finally":
            lines += ["try:", *block(), "finally:", f"    {name} = 1"]
        elif kind == "with":
            lines += ["with Keep():", *block()]
        elif kind == "def":
            lines += ["def inner(q=1):", f"    return q + {draw(_atoms)}", f"{name} = inner(2)"]
        elif kind == "class":
            lines += ["class Thing:", f"    field = {draw(st.integers(0, 9))}", f"{name} = Thing.field"]
        elif kind in _MODERN:
            lines += [line.format(name=name, value=value) for line in _MODERN[kind]]
            if kind == "match":
                lines += ["    case [first, *_]:", *_indented(block()), "    case _:", *_indented(block())]
        else:
            lines.append(kind)
            break
    return lines


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


_MODERN = {
    "match": ["match {value}:", "    case 0 | 1:", "        {name} = 7"],
    "async": ["{name} = wait({value})"],
    "generator": ["steps = produce({value})", "next(steps)", "for {name} in steps:", "    c = {name}"],
    "nonlocal": ["def count():", "    nonlocal {name}", "    {name} = {value}", "    return 1", "count()"],
    "recursion": ["{name} = down(2, {value})"],
    "raise": ["raise LookupError({value})"],
}


_HEAD = """\
class Keep:
    def __enter__(self):
        return self
    def __exit__(self, *exc):
        return exc[0] is ZeroDivisionError
def helper(x):
    y = x
    return [y]
def produce(n):
    for i in range(2):
        yield i
"""


_MODERN_HEAD = """\
import asyncio
def down(n, x):
    if not n:
        return x
    return down(n - 1, [x])
async def child(x):
    await asyncio.sleep(0)
    return [x]
async def parent(x):
    both = await child(x), await child(1)
    return both
def wait(x):
    return asyncio.run(parent(x))
"""


@st.composite
def programs(draw: st.DrawFn, modern: bool = False) -> str:
    body = draw(statements(3, modern=modern))
    lines = ["a = 1", "b = 2", "c = 0", "items = [1]", *body, "return a, b, c"]
    function = "def work():\n" + "\n".join("    " + line for line in lines)
    return (
        f"{_MODERN_HEAD if modern else ''}{_HEAD}{function}\ntry:\n    work()\nexcept Exception:\n    pass\n"
    )
