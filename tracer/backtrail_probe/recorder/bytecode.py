"""The few things that only the bytecode knows."""

from __future__ import annotations

from opcode import opmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, FrozenSet, Iterator, List, Set, Tuple

_CLEAR = opmap.get("LOAD_FAST_AND_CLEAR")
_EXTENDED = opmap["EXTENDED_ARG"]
_OPTIMIZED = 0x1


def _codes_of(*names: str) -> FrozenSet[int]:
    return frozenset(opmap[name] for name in names if name in opmap)


RETURNS = _codes_of("RETURN_VALUE", "RETURN_CONST")
ITERATES = _codes_of("FOR_ITER", "YIELD_FROM", "SEND", "END_SEND", "END_FOR")
"""Where StopIteration is the end of a loop or of an `await`, and no exception that anybody raised."""

_YIELD_VALUE, _RESUME = opmap["YIELD_VALUE"], opmap.get("RESUME")
_YIELD_FROM = opmap.get("YIELD_FROM")
_STORES = _codes_of("STORE_FAST", "STORE_FAST_STORE_FAST", "STORE_FAST_LOAD_FAST")


_STORE, _DELETE = opmap["STORE_FAST"], opmap["DELETE_FAST"]
_STORE_BOTH, _STORE_LOAD = opmap.get("STORE_FAST_STORE_FAST"), opmap.get("STORE_FAST_LOAD_FAST")


def assigned(code: Any) -> Dict[int, Tuple[str, ...]]:
    """Line -> the local variables that its instructions may set or delete, in the order of the locals. Empty
    where that is not all that can change them: with variables of inner functions, comprehensions that
    borrow, module and class bodies, and on Python 3.9, which does not tell the lines of instructions."""
    if (
        not hasattr(code, "co_lines")
        or not code.co_flags & _OPTIMIZED
        or code.co_cellvars
        or code.co_freevars
    ):
        return {}
    raw, names = code.co_code, code.co_varnames
    if _CLEAR is not None and _CLEAR in raw[::2]:
        return {}
    found: Dict[Any, Set[int]] = {}
    for start, end, line in code.co_lines():
        found.setdefault(line, set()).update(_stored(raw, start, end))
    anywhere = found.pop(None, set())
    return {line: tuple(names[n] for n in sorted(which | anywhere)) for line, which in found.items()}


def _stored(raw: bytes, start: int, end: int) -> Iterator[int]:
    """The numbers of the local variables that instructions set or delete."""
    high = 0
    for offset in range(start, end, 2):
        op, arg = raw[offset], raw[offset + 1] | high
        high = arg << 8 if op == _EXTENDED else 0
        if op in (_STORE, _DELETE):
            yield arg
        elif op == _STORE_BOTH:
            yield arg >> 4
            yield arg & 15
        elif op == _STORE_LOAD:
            yield arg >> 4


def suspensions(code: Any) -> FrozenSet[int]:
    """The values of `f_lasti` with which a generator or coroutine stands suspended: at the yield, from
    3.12 on behind it, and before a YIELD_FROM (up to 3.10), which is executed again at each step."""
    raw = code.co_code
    found = set()
    for offset in range(0, len(raw), 2):
        if raw[offset] == _YIELD_VALUE:
            found.add(offset)
            if offset + 2 < len(raw) and raw[offset + 2] == _RESUME:
                found.add(offset + 2)
        elif raw[offset] == _YIELD_FROM:
            found.update((offset - 2, offset))
    return frozenset(found)


def borrowed_names(code: Any) -> Dict[str, FrozenSet[int]]:
    """Variables that inlined comprehensions borrow -> the offsets at which they are the comprehension's.

    LOAD_FAST_AND_CLEAR puts the function's own variable aside; an instruction that stores it back has
    the same source position, which is the whole comprehension's.
    """
    if _CLEAR is None or _CLEAR not in code.co_code[::2]:
        return {}
    positions = list(code.co_positions())
    found: Dict[str, Set[int]] = {}
    high = 0
    raw = code.co_code
    for offset in range(0, len(raw), 2):
        op, arg = raw[offset], raw[offset + 1] | high
        high = arg << 8 if op == _EXTENDED else 0
        if op == _CLEAR:
            end = _given_back(raw, positions, offset)
            found.setdefault(_local_name(code, arg), set()).update(range(offset + 2, end + 2, 2))
    return {name: frozenset(offsets) for name, offsets in found.items()}


def _local_name(code: Any, index: int) -> str:
    names = code.co_varnames + tuple(name for name in code.co_cellvars if name not in code.co_varnames)
    return str(names[index]) if index < len(names) else ""


def _given_back(raw: bytes, positions: List[Any], start: int) -> int:
    """The offset of the first store behind `start` that has its position; the end of the code at worst."""
    at = positions[start // 2]
    stores = (each for each in range(start + 2, len(raw), 2) if raw[each] in _STORES)
    return next((each for each in stores if positions[each // 2] == at), len(raw))
