"""Runs about so many line events and prints what they took, as JSON: `long_run.py EVENTS loop|wide`.

`loop` is one loop in one function; `wide` goes through many functions, so that as much is recorded as the
caps let through. Standard library only, Python 3.9 and newer. Peak memory is of the whole process, in bytes.
"""

import json
import sys
import time

FUNCTIONS = 700
_BODY = "".join(f"    x{n} = value + {n}\n" for n in range(12))


def loop(events):
    total = 0
    for number in range(events // 2):
        total += number
    return total


def wide(events):
    total = 0
    lines = 14
    for number in range(events // (lines + 2)):
        total += MANY[number % FUNCTIONS](number)
    return total


def make_many():
    """Functions that are in this file for whoever asks, since they are made of a text."""
    made = []
    for number in range(FUNCTIONS):
        names = {}
        source = "\n" * number + f"def work{number}(value):\n{_BODY}    return x0\n"
        exec(compile(source, __file__, "exec"), names)
        made.append(names[f"work{number}"])
    return made


def peak_bytes():
    """0 where the system does not tell. `ru_maxrss` would do, but it begins with the parent's memory."""
    try:
        with open("/proc/self/status") as file:
            lines = dict(line.split(":", 1) for line in file)
    except OSError:
        return 0
    return int(lines["VmHWM"].split()[0]) * 1024


MANY = make_many() if sys.argv[2:] == ["wide"] else []

if __name__ == "__main__":
    run = {"loop": loop, "wide": wide}[sys.argv[2]]
    begun = time.perf_counter()
    run(int(sys.argv[1]))
    print(json.dumps({"seconds": time.perf_counter() - begun, "peak": peak_bytes()}))
