"""Hostile to a tracer: nested loops of plain arithmetic, where a line costs about ten nanoseconds."""

import sys

TRACED = [__file__]


def triangle(size):
    total = 0
    for row in range(size):
        for column in range(row):
            total += row * column
    return total


def collatz(limit):
    longest = 0
    for start in range(1, limit):
        value = start
        steps = 0
        while value != 1:
            value = value // 2 if value % 2 == 0 else 3 * value + 1
            steps += 1
        longest = max(longest, steps)
    return longest


def greatest_divisors(size):
    total = 0
    for a in range(1, size):
        for b in range(1, size):
            x = a
            y = b
            while y:
                x, y = y, x % y
            total += x
    return total


def polynomial(points):
    total = 0
    for point in range(points):
        value = 0
        for factor in (3, 1, 4, 1, 5):
            value = value * point + factor
        total += value % 7
    return total


def run():
    triangle(170)
    collatz(122)
    greatest_divisors(42)
    polynomial(703)


def functions():
    """(owner, name) of what a tracer that works by decoration has to decorate."""
    here = sys.modules[__name__]
    return [(here, name) for name in ("triangle", "collatz", "greatest_divisors", "polynomial")]
