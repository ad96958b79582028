"""The few words of the wire that the probe needs before, or instead of, `wire.py` itself.

`wire.py` is made of dataclasses, whose import alone takes longer than a small program runs.
"""

import _signal  # type: ignore[import-not-found,unused-ignore]  # `signal` makes an enum of them first

VERSION = 4
"""Raised whenever a field or an event changes its meaning. Both sides refuse another version."""

# How a log file begins: magic, then a number of bytes of whole records, little-endian, then the lines.
# The number is raised when something is told that is waited for: an item, a failure, the end. Behind it
# more events may stand, up to the first zero byte: a record is written at once, lines have none in them,
# and a last line without its end is one that the program was killed in.
LOG_MAGIC = b"BTLOG001"
LOG_HEADER_SIZE = 16

# Where every hit is kept there is a file of this ending beside the log, of numbers that tell of most of them
# (see `wire.py`). What a word says of a variable; and words that tell of no hit:
WORDS = ".words"
INT, REAL, TEXT = 1, 2, 3
FRAME, TIME = 1, 2

# Beside the log there is a folder of this ending, with a log for each child process that was recorded: "1",
# "2", … in the order in which they began.
CHILDREN = ".children"
MOST_CHILDREN = 64
# Variables of the environment: the path of the run specification that a Python belongs to which the program
# starts, and the id of the item (test) that goes on.
CHILD_OF, CHILD_ITEM = "BACKTRAIL_CHILD_OF", "BACKTRAIL_CHILD_ITEM"

# The kinds of entry that the probe knows how to run.
PYTEST, DOCTEST, SCRIPT, MODULE = "pytest", "doctest", "script", "module"

# Beside the log there is a file of this ending. When the program gets the signal `ASKED`, or a fatal one,
# the stacks of its threads are written there, as `faulthandler` writes them.
WHERE = ".where"
ASKED: int = getattr(_signal, "SIGRTMAX", 4) - 4 or getattr(_signal, "SIGEMT", 0)
"""A signal that nobody uses; 0 where there is none (Windows)."""
