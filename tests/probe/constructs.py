"""One small program for each kind of construct, with the corners that recorders get wrong."""

from __future__ import annotations

CONSTRUCTS: dict[str, str] = {
    "assignments": """
        def f(a, *rest, key=1, **more):
            a, (b, *c) = 1, (2, 3, 4)
            b += a
            d: int = b
            del a
            a = d
            rest, more["x"] = more, 5
            if (e := d * 2) > 3:
                e -= 1
            c[0] = c
            return e
        f(0, 1, 2, z=3)
        """,
    "loops": """
        def f():
            found = []
            for i in range(3):
                if i == 1:
                    continue
                found.append(i)
            else:
                found.append(9)
            while found:
                found.pop()
                if len(found) == 1: break
            else:
                found = None
            n = 3
            while n: n -= 1
            for a in (1, 2):
                for b in "xy":
                    n += a
            return n
        f()
        """,
    "try_except_finally": """
        def risky(n):
            if n == 1:
                raise ValueError("one")
            return 10 // n
        def f(n):
            kept = []
            try:
                kept.append(risky(n))
            except ZeroDivisionError as error:
                kept.append(error)
                return "zero"
            except ValueError:
                try:
                    raise KeyError(n) from None
                except KeyError:
                    kept.append("key")
                raise
            else:
                kept.append("else")
            finally:
                kept.append("finally")
            return "end"
        for n in (2, 0, 1):
            try:
                f(n)
            except ValueError:
                pass
        """,
    "with": """
        class Keep:
            def __init__(self, swallow):
                self.swallow = swallow
            def __enter__(self):
                return [self.swallow]
            def __exit__(self, kind, exc, traceback):
                done = kind is not None
                return self.swallow
        def f(swallow):
            with Keep(swallow) as a, Keep(True) as b:
                a.append(1)
                {}["x"]
            with Keep(False):
                return a, b
        f(True)
        f(False)
        """,
    "comprehensions": """
        def f(n):
            x = "mine"
            a = [x for x in range(n)]
            b = {x: [y * n for y in range(x)] for x in a}
            c = {x % 2 for x in a if x}
            d = sum(x for x in a)
            e = [g(x) for x in a]
            return x, d
        def g(x):
            return x + 1
        f(2)
        """,
    "generators": """
        def inner(n):
            got = yield n
            while got:
                got = yield got * 2
            return "end"
        def outer(n):
            try:
                result = yield from inner(n)
            finally:
                closed = True
            return result
        def f():
            g = outer(1)
            a = next(g)
            b = g.send(2)
            try:
                g.send(None)
            except StopIteration as stop:
                c = stop.value
            h = outer(3)
            next(h)
            h.close()
            k = outer(4)
            next(k)
            try:
                k.throw(KeyError("in"))
            except KeyError:
                d = 1
            return a, b, c
        f()
        """,
    "closures": """
        def make(start):
            total = start
            def add(n):
                nonlocal total
                total += n
                def twice():
                    return total * 2
                return twice()
            def untouched(n=[]):
                n.append(1)
                return n
            add(1)
            total = 5
            untouched()
            untouched()
            return add(2)
        make(10)
        """,
    "recursion": """
        def ackermann(m, n):
            if m == 0:
                return n + 1
            if n == 0:
                return ackermann(m - 1, 1)
            return ackermann(m - 1, ackermann(m, n - 1))
        def walk(tree, depth=0):
            if isinstance(tree, int):
                return depth
            return max([walk(each, depth + 1) for each in tree])
        ackermann(1, 2)
        walk([1, [2, [3]]])
        """,
    "class_bodies": """
        def register(cls):
            names.append(cls.__name__)
            return cls
        names = []
        class Meta(type):
            def __new__(mcs, name, bases, body):
                body["tag"] = name
                return super().__new__(mcs, name, bases, body)
        @register
        class Shape(metaclass=Meta):
            sides = [n for n in range(2)]
            class Inner:
                depth = 2
            @property
            def area(self):
                half = self.depth / 2
                return half
            @staticmethod
            def make(depth):
                made = Shape()
                made.depth = depth
                return made
        value = Shape.make(4).area
        """,
    "decorators": """
        import functools
        def traced(times):
            def decorate(function):
                @functools.wraps(function)
                def wrapper(*args):
                    for _ in range(times):
                        result = function(*args)
                    return result
                return wrapper
            return decorate
        @traced(2)
        def add(a, b):
            total = a + b
            return total
        add(1, 2)
        """,
    "match": """
        class Point:
            __match_args__ = ("x", "y")
            def __init__(self, x, y):
                self.x, self.y = x, y
        def f(value):
            match value:
                case 0 | 1:
                    kind = "bit"
                case [first, *rest] if rest:
                    kind = first
                case {"key": held, **others}:
                    kind = held
                case Point(0, y):
                    kind = y
                case str() as text:
                    return text
                case _:
                    kind = None
            return kind
        for value in (1, [1, 2], [1], {"key": 3, "z": 4}, Point(0, 5), "s", 2.5):
            f(value)
        """,
    "async": """
        import asyncio
        class Lock:
            async def __aenter__(self):
                await asyncio.sleep(0)
                return "held"
            async def __aexit__(self, *exc):
                return True
        async def numbers(n):
            for i in range(n):
                await asyncio.sleep(0)
                yield i
        async def fail():
            await asyncio.sleep(0)
            raise KeyError("async")
        async def main():
            found = [n async for n in numbers(2)]
            async with Lock() as lock:
                await fail()
            async for n in numbers(2):
                found.append(n)
            return found, lock
        asyncio.run(main())
        """,
}
