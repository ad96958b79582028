"""Small programs, and the events that they must give on every Python and with both recorders."""

from __future__ import annotations

from textwrap import dedent

SAMPLES: dict[str, tuple[str, str]] = {
    "call": (
        """\
        def add(a, b=2, *rest, c, **more):
            total = a + b
            return total
        add(1, c=3, d=4)
        """,
        """\
        <module>()
        <module>:1
        <module>:4
        add(a=1 b=2 c=3 rest=() more={'d': 4})
        add:2
        add:3 total=3
        add:3 -> 3
        <module>:4 -> None
        """,
    ),
    "loop": (
        """\
        def loop(items):
            total = 0
            for item in items:
                total += item
            return total
        loop([3, 4])
        """,
        """\
        <module>()
        <module>:1
        <module>:6
        loop(items=[3, 4])
        loop:2
        loop:3 total=0
        loop:4 item=3
        loop:3 total=3
        loop:4 item=4
        loop:3 total=7
        loop:5
        loop:5 -> 7
        <module>:6 -> None
        """,
    ),
    "one_line_loop": (
        """\
        def short():
            total = 0
            for i in range(3): total += i
            return total
        short()
        """,
        """\
        <module>()
        <module>:1
        <module>:5
        short()
        short:2
        short:3 total=0
        short:4 total=3 i=2
        short:4 -> 3
        <module>:5 -> None
        """,
    ),
    "mutation": (
        """\
        class Box:
            pass
        def fill(items, box):
            items.append(1)
            box.full = True
            items = items
        fill([], Box())
        """,
        """\
        <module>()
        <module>:1
        Box()
        Box:1
        Box:2
        Box:2 -> None
        <module>:3
        <module>:7
        fill(items=[] box=Box())
        fill:4
        fill:5 items=[1]
        fill:6 box=Box(full=True)
        fill:6 -> None
        <module>:7 -> None
        """,
    ),
    "exception": (
        """\
        def inner(d):
            return d["x"]
        def outer():
            try:
                inner({})
            except KeyError as error:
                kept = 1
            finally:
                done = 2
        outer()
        """,
        """\
        <module>()
        <module>:1
        <module>:3
        <module>:10
        outer()
        outer:4
        outer:5
        inner(d={})
        inner:2
        inner:2 !KeyError
        inner:2 !!
        outer:5 !KeyError
        outer:6
        outer:7 error=KeyError('x')
        outer:9 kept=1
        outer:9 -> None done=2
        <module>:10 -> None
        """,
    ),
    "generator": (
        """\
        def count():
            sent = yield 1
            yield sent
        def use():
            g = count()
            first = next(g)
            second = g.send("hi")
            for rest in g:
                pass
        use()
        """,
        """\
        <module>()
        <module>:1
        <module>:4
        <module>:10
        use()
        use:5
        use:6 g=<generator count>
        count()
        count:2
        count:2 => 1
        use:7 first=1
        count:2 <=
        count:3 sent='hi'
        count:3 => 'hi'
        use:8 second='hi'
        count:3 <=
        count:3 -> None
        use:8 -> None
        <module>:10 -> None
        """,
    ),
    "closed_generator": (
        """\
        def count():
            try:
                yield 1
            finally:
                closed = True
        def use():
            g = count()
            next(g)
            g.close()
        use()
        """,
        """\
        <module>()
        <module>:1
        <module>:6
        <module>:10
        use()
        use:7
        use:8 g=<generator count>
        count()
        count:2
        count:3
        count:3 => 1
        use:9
        count:3 <=
        count:3 !GeneratorExit
        count:5
        count:5 !! closed=True
        use:9 -> None
        <module>:10 -> None
        """,
    ),
    "comprehension": (
        """\
        def build(n):
            x = 9
            squares = [x * x for x in range(n)]
            pairs = {a: [b for b in range(a)] for a in range(2)}
            return squares, {s for s in squares}, pairs
        build(3)
        """,
        """\
        <module>()
        <module>:1
        <module>:6
        build(n=3)
        build:2
        build:3 x=9
        build:4 squares=[0, 1, 4]
        build:5 pairs={0: [], 1: [0]}
        build:5 -> ([0, 1, 4], {0, 1, 4}, {0: [], 1: [0]})
        <module>:6 -> None
        """,
    ),
    "comprehension_of_the_same_name": (
        """\
        def f():
            x = 1
            x = [x for x in (2,)]
            return x
        f()
        """,
        """\
        <module>()
        <module>:1
        <module>:5
        f()
        f:2
        f:3 x=1
        f:4 x=[2]
        f:4 -> [2]
        <module>:5 -> None
        """,
    ),
    "closure": (
        """\
        def counter():
            n = 0
            def step():
                nonlocal n
                n += 1
                return n
            step()
            return n
        counter()
        """,
        """\
        <module>()
        <module>:1
        <module>:9
        counter()
        counter:2
        counter:3 n=0
        counter:7 step=<function step>
        counter.<locals>.step()
        counter.<locals>.step:5
        counter.<locals>.step:6 n=1
        counter.<locals>.step:6 -> 1
        counter:8 n=1
        counter:8 -> 1
        <module>:9 -> None
        """,
    ),
    "recursion": (
        """\
        def fact(n):
            if n < 2:
                return 1
            return n * fact(n - 1)
        fact(3)
        """,
        """\
        <module>()
        <module>:1
        <module>:5
        fact(n=3)
        fact:2
        fact:4
        fact(n=2)
        fact:2
        fact:4
        fact(n=1)
        fact:2
        fact:3
        fact:3 -> 1
        fact:4 -> 2
        fact:4 -> 6
        <module>:5 -> None
        """,
    ),
    "async": (
        """\
        import asyncio
        async def child(n):
            await asyncio.sleep(0)
            return n
        async def parent():
            a = await child(1)
            return a
        asyncio.run(parent())
        """,
        """\
        <module>()
        <module>:1
        <module>:2
        <module>:5
        <module>:8
        parent()
        parent:6
        child(n=1)
        child:3
        child:3 => None
        parent:6 => None
        parent:6 <=
        child:3 <=
        child:4
        child:4 -> 1
        parent:7 a=1
        parent:7 -> 1
        <module>:8 -> None
        """,
    ),
    "class_body": (
        """\
        class Shape:
            sides = 4
            names = ["a"]
            def area(self): return self.sides
        value = Shape().area()
        """,
        """\
        <module>()
        <module>:1
        Shape()
        Shape:1
        Shape:2
        Shape:3 sides=4
        Shape:4 names=['a']
        Shape:4 -> None
        <module>:5
        Shape.area(self=Shape())
        Shape.area:4
        Shape.area:4 -> 4
        <module>:5 -> None value=4
        """,
    ),
    "lambda_and_genexpr": (
        """\
        def use():
            double = lambda n: n * 2
            return sum(double(i) for i in (1,))
        use()
        """,
        """\
        <module>()
        <module>:1
        <module>:4
        use()
        use:2
        use:3 double=<function <lambda>>
        use.<locals>.<genexpr>()
        use.<locals>.<genexpr>:3
        use.<locals>.<lambda>(n=1)
        use.<locals>.<lambda>:2
        use.<locals>.<lambda>:2 -> 2
        use.<locals>.<genexpr>:3 => 2 i=1
        use.<locals>.<genexpr>:3 <=
        use.<locals>.<genexpr>:3 -> None
        use:3 -> 2
        <module>:4 -> None
        """,
    ),
}

SOURCES = {f"{name}.py": dedent(source) for name, (source, _) in SAMPLES.items()}
EXPECTED = {name: dedent(expected).splitlines() for name, (_, expected) in SAMPLES.items()}
MAIN = (
    "import importlib\nfor name in " + repr(list(SAMPLES)) + ":\n    importlib.import_module('s_' + name)\n"
)
FILES = {"main.py": MAIN, **{f"s_{name}": source for name, source in SOURCES.items()}}
