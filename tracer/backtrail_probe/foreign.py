"""Values of well-known types outside the built-ins: standard library, numpy, pandas, torch.

A type is recognised by its module and name, and only if it is the very object that the loaded module
holds under that name. Nothing is imported for it.
"""

from __future__ import annotations

import sys
from itertools import islice

from . import statics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    _Show = Callable[[Any, int], "Description"]


class Description:
    __slots__ = ("cut", "mutable", "shape", "text")

    def __init__(
        self, text: str, shape: Optional[str] = None, cut: bool = False, mutable: bool = False
    ) -> None:
        self.text = text
        self.shape = shape
        self.cut = cut
        self.mutable = mutable


class _NotPlain(Exception):
    """The value holds something whose code would have to be called."""


def describe(obj: Any, cls: type, items: int) -> Optional[Description]:
    """None for a type that is not known here, and for a value with a user's object inside."""
    module, name = statics.module_name(cls), statics.type_name(cls)
    show = _KNOWN.get((module.partition(".")[0], name))
    if show is None or not _genuine(cls, module, name):
        return None
    try:
        return show(obj, items)
    except _NotPlain:
        return None


def _genuine(cls: type, module: str, name: str) -> bool:
    loaded = sys.modules.get(module)
    return type(loaded) is _MODULE and vars(loaded).get(name) is cls


_MODULE = type(sys)


def _by_str(obj: Any, items: int) -> Description:
    return Description(f"{type(obj).__name__}({str(obj)!r})")


def _by_repr(obj: Any, items: int) -> Description:
    return Description(repr(obj))


def _datetime(obj: Any, items: int) -> Description:
    """A time zone may be the user's: then it is left out rather than asked for its name."""
    zone = obj.tzinfo
    if zone is not None and statics.module_name(type(zone)).partition(".")[0] not in ("datetime", "zoneinfo"):
        return Description(repr(obj.replace(tzinfo=None))[:-1] + ", tzinfo=…)", cut=True)
    return Description(repr(obj))


def _fraction(obj: Any, items: int) -> Description:
    held = obj._numerator, obj._denominator
    if not statics.plain(held) or max(map(int.bit_length, held)) > 1000:
        raise _NotPlain
    return Description("Fraction({}, {})".format(*held))


def _ndarray(obj: Any, items: int) -> Description:
    shape = "x".join(map(str, obj.shape)) or "scalar"
    if obj.dtype.kind not in "biufcSUmM":
        return Description(f"array(dtype={obj.dtype})", shape, True, True)
    first = [item.item() for item in islice(obj.flat, items)]
    cut = obj.size > len(first)
    shown = ", ".join(map(repr, first)) + (", …" if cut else "")
    return Description(f"array([{shown}], dtype={obj.dtype})", shape, cut, True)


def _numpy_scalar(obj: Any, items: int) -> Description:
    return Description(f"{type(obj).__name__}({obj.item()!r})")


def _frame(obj: Any, items: int) -> Description:
    """Axes are had from the block manager, so that no accessor of an extension is asked."""
    axes = (statics.instance_dict(obj) or {})["_mgr"].axes
    sizes = [len(axis) for axis in reversed(axes)] if len(axes) == 2 else [len(axes[0])]
    names: List[str] = []
    if len(axes) == 2 and statics.type_name(type(axes[0])) == "Index":
        names = [repr(name) for name in islice(axes[0], items) if type(name) in (str, int)]
    columns = f"columns=[{', '.join(names)}]" if names else ""
    return Description(f"{type(obj).__name__}({columns})", "x".join(map(str, sizes)), True, True)


def _tensor(obj: Any, items: int) -> Description:
    """No items: reading them goes through torch's dispatch, where a user's code may sit."""
    shape = "x".join(map(str, tuple(obj.shape))) or "scalar"
    return Description(f"tensor(dtype={obj.dtype}, device={str(obj.device)!r})", shape, True, True)


_NUMPY = (
    "bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
    "float16 float32 float64 complex64 complex128 str_"
)
_KNOWN: Dict[Tuple[str, str], _Show] = {
    **{("pathlib", f"{kind}Path"): _by_str for kind in ("Posix", "Windows", "PurePosix", "PureWindows")},
    ("datetime", "datetime"): _datetime,
    ("datetime", "time"): _datetime,
    ("datetime", "date"): _by_repr,
    ("datetime", "timedelta"): _by_repr,
    ("datetime", "timezone"): _by_repr,
    ("decimal", "Decimal"): _by_repr,
    ("fractions", "Fraction"): _fraction,
    ("uuid", "UUID"): _by_repr,
    ("re", "Pattern"): _by_repr,
    ("re", "Match"): _by_repr,
    ("numpy", "ndarray"): _ndarray,
    **{("numpy", name): _numpy_scalar for name in _NUMPY.split()},
    ("pandas", "DataFrame"): _frame,
    ("pandas", "Series"): _frame,
    ("torch", "Tensor"): _tensor,
}
