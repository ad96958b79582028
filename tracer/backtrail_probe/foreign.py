"""Values of well-known types outside the built-ins: standard library, numpy, pandas, torch.

A type is recognised by its module and name, and only if it is the very object that the loaded module
holds under that name. Nothing is imported for it.
"""

from __future__ import annotations

from . import arrays, statics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Tuple

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
    if not may_be_known(cls):
        return None
    module, name = statics.module_name(cls), statics.type_name(cls)
    top = module.partition(".")[0]
    show = _KNOWN.get((top, name))
    if show is None and top in _ARRAYS:
        return _array(obj, cls, _ARRAYS[top].get(name), items)
    if show is None:
        found = arrays.array_of_a_subclass(obj, cls)  # if it is one of numpy's array
        return None if found is None else Description(*found, True)
    if not statics.genuine(cls):
        return None
    try:
        return show(obj, items)
    except _NotPlain:
        return None


def _array(obj: Any, cls: type, name: Optional[str], items: int) -> Optional[Description]:
    if name is None or not statics.genuine(cls):
        return None
    text, shape, cut = getattr(arrays, name)(obj, items)
    return Description(text, shape, cut, name != "numpy_scalar")


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
}
_INDEXES = "Index RangeIndex DatetimeIndex TimedeltaIndex"
_ARRAYS: Dict[str, Dict[str, str]] = {
    "numpy": {"ndarray": "ndarray", **dict.fromkeys(_NUMPY.split(), "numpy_scalar")},
    "pandas": {"DataFrame": "frame", "Series": "series", **dict.fromkeys(_INDEXES.split(), "index")},
    "torch": {"Tensor": "tensor", "Parameter": "tensor"},
}
"""Package -> class -> the function in `arrays.py`."""


def _is_candidate(cls: type) -> bool:
    module = statics.module_name(cls).partition(".")[0]
    if module in _ARRAYS or (module, statics.type_name(cls)) in _KNOWN:
        return True
    return any(statics.module_name(base) == "numpy" for base in statics.mro(cls))


may_be_known = statics.PerClass(_is_candidate).of


def is_array(cls: type) -> bool:
    """Whether it may be numpy's, pandas' or torch's, which take time to be described."""
    return any(statics.module_name(base).partition(".")[0] in _ARRAYS for base in statics.mro(cls))
