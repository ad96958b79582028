"""The few words of the wire that the probe needs before, or instead of, `wire.py` itself.

`wire.py` is made of dataclasses, whose import alone takes longer than a small program runs.
"""

VERSION = 1
"""Raised whenever a field or an event changes its meaning. Both sides refuse another version."""

# How a log file begins: magic, then the number of committed bytes, little-endian, then the lines.
# The writer raises the count only after a record is whole, so a reader never sees a torn one.
LOG_MAGIC = b"BTLOG001"
LOG_HEADER_SIZE = 16

# The kinds of entry that the probe knows how to run.
PYTEST, DOCTEST, SCRIPT, MODULE = "pytest", "doctest", "script", "module"
