"""A real package at ordinary work: a fixed list of calls into sortedcontainers."""

import inspect
import os
import random

import sortedcontainers
from sortedcontainers import SortedDict, SortedList, SortedSet

TRACED = [os.path.dirname(os.path.abspath(sortedcontainers.__file__))]


def functions():
    """(owner, name) of what a tracer that works by decoration has to decorate."""
    owners = (SortedList, SortedDict, SortedSet)
    return [
        (owner, name) for owner in owners for name, value in vars(owner).items() if inspect.isfunction(value)
    ]


def run():
    numbers = random.Random(7)
    keys = [numbers.randrange(10_000) for _ in range(400)]

    ordered = SortedList()
    for key in keys:
        ordered.add(key)
    for key in keys[:100]:
        ordered.remove(key)
        ordered.bisect_left(key)
        ordered.count(key)
    sum(ordered[index] for index in range(0, len(ordered), 7))
    list(ordered.irange(2_000, 4_000))
    ordered.update(range(0, 10_000, 40))

    table = SortedDict((key, str(key)) for key in keys)
    for key in keys[:60]:
        table.setdefault(key + 1, "")
        table.peekitem(0)
        table.bisect(key)
    while len(table) > 300:
        table.popitem()

    left = SortedSet(keys[:250])
    right = SortedSet(keys[150:])
    left & right, left | right, left - right
    left.discard(keys[0])
