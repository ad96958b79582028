"""Values of numpy, pandas and torch: shape, type of the items, and the first of them.

They are had from below the public methods: a subclass, a dispatch mode or an extension of the user's
may stand above those. What would go through a user's code is shown without items.
"""

from __future__ import annotations

import sys
from itertools import islice

from . import statics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional, Tuple

    Shown = Tuple[str, Optional[str], bool]
    """Text, shape, and whether items were left out."""

_PLAIN_KINDS = "biufcSUmM"
_ELLIPSIS = "…"


def _shape(sizes: "Iterable[int]") -> str:
    return "x".join(map(str, sizes)) or "scalar"


def _listed(cells: "List[str]", total: int) -> "Tuple[str, bool]":
    cut = total > len(cells)
    return f"[{', '.join(cells)}{', ' + _ELLIPSIS if cut and cells else _ELLIPSIS if cut else ''}]", cut


# numpy


def ndarray(obj: Any, items: int) -> "Shown":
    shape = _shape(obj.shape)
    if obj.dtype.kind not in _PLAIN_KINDS:
        return f"array(dtype={obj.dtype})", shape, True
    shown, cut = _listed([repr(item.item()) for item in islice(obj.flat, items)], obj.size)
    return f"array({shown}, dtype={obj.dtype})", shape, cut


def numpy_scalar(obj: Any, items: int) -> "Shown":
    return f"{type(obj).__name__}({obj.item()!r})", None, False


def array_of_a_subclass(obj: Any, cls: type) -> "Optional[Shown]":
    """A user's subclass of ndarray may override everything but what numpy's own descriptors say."""
    base = next((each for each in statics.mro(cls) if statics.module_name(each) == "numpy"), None)
    if base is None or statics.type_name(base) != "ndarray" or not statics.genuine(base):
        return None
    held = statics.dict_of(base)
    shape, dtype = held["shape"].__get__(obj), held["dtype"].__get__(obj)
    kind = dtype if dtype.kind in _PLAIN_KINDS else dtype.kind
    return f"{statics.type_name(cls)}(dtype={kind})", _shape(shape), True


# pandas


def frame(obj: Any, items: int) -> "Shown":
    """The columns with their first rows, from the blocks that hold them."""
    manager = _manager(obj)
    columns, index = manager.axes
    rows = len(index)
    shape, shown = f"{rows}x{len(columns)}", []
    cut = len(columns) > items
    for number, name in enumerate(islice(columns, items)):
        block = manager.blocks[int(manager.blknos[number])]
        cells, part = _column(block.values, int(manager.blklocs[number]), rows, max(items // 2, 1))
        shown.append(f"{_cell(name)}: {cells}")
        cut |= part
    more = ", " + _ELLIPSIS if len(columns) > items else ""
    return f"{statics.type_name(type(obj))}({{{', '.join(shown)}{more}}})", shape, cut


def series(obj: Any, items: int) -> "Shown":
    manager = _manager(obj)
    values, rows = manager.blocks[0].values, len(manager.axes[0])
    cells, cut = _column(values, None, rows, items)
    name = (statics.instance_dict(obj) or {}).get("_name")
    named = f", name={_cell(name)}" if name is not None else ""
    kind = f", dtype={values.dtype}" if _from_pandas(type(values)) else ""
    return f"Series({cells}{named}{kind})", str(rows), cut


def index(obj: Any, items: int) -> "Shown":
    cells = [_cell(label) for label in islice(obj, items)]
    shown, cut = _listed(cells, len(obj))
    return f"{statics.type_name(type(obj))}({shown})", str(len(obj)), cut


def _manager(obj: Any) -> Any:
    """Raises TypeError where labels are of a user's class, whose length would be asked for."""
    manager = (statics.instance_dict(obj) or {})["_mgr"]
    if not all(_from_pandas(type(axis)) for axis in manager.axes):
        raise TypeError("an axis that is not of pandas' own making")
    return manager


def _from_pandas(cls: type) -> bool:
    module = statics.module_name(cls).partition(".")[0]
    return (
        module == "pandas" or (module == "numpy" and statics.type_name(cls) == "ndarray")
    ) and statics.genuine(cls)


def _column(values: Any, at: "Optional[int]", rows: int, items: int) -> "Tuple[str, bool]":
    """One column's first cells as text. `at`: its place in a block that holds several columns."""
    if not _from_pandas(type(values)):
        return _ELLIPSIS, True
    cells = _cells(values, at, min(rows, items))
    return (f"<{values.dtype}>", True) if cells is None else _listed(cells, rows)


def _cells(values: Any, at: "Optional[int]", count: int) -> "Optional[List[str]]":
    kind = statics.type_name(type(values))
    if kind == "Categorical":
        return None
    held: "Dict[str, Any]" = statics.instance_dict(values) or {}
    if "_mask" in held:
        pairs = zip(held["_data"][:count], held["_mask"][:count])
        return ["<NA>" if missing else _cell(_bare(item)) for item, missing in pairs]
    if kind in ("ArrowStringArray", "ArrowStringArrayNumpySemantics"):
        return [_cell(item) for item in held["_pa_array"].slice(0, count).to_pylist()]
    array: Any = values if statics.module_name(type(values)) == "numpy" else getattr(values, "_ndarray", None)
    if statics.module_name(type(array)) != "numpy":
        return None
    row = array[at] if at is not None and array.ndim == 2 else array
    return [_cell(_bare(item)) for item in row.flat[:count]]


def _bare(item: Any) -> Any:
    """A numpy scalar as Python's own; times as the text that numpy makes of them."""
    if statics.module_name(type(item)) != "numpy" or not statics.genuine(type(item)):
        return item
    return str(item) if item.dtype.kind in "mM" else item.item()


def _cell(item: Any) -> str:
    if not statics.plain((item,)):
        return _ELLIPSIS
    return (
        repr(item)
        if not isinstance(item, (str, bytes)) or len(item) <= 40
        else repr(item[:40])[:-1] + _ELLIPSIS
    )


# torch


def tensor(obj: Any, items: int) -> "Shown":
    """By the methods of the base class, which is written in C. Where a mode of the user's, a tracing or a
    transformation (vmap, grad) would see the reading, the items are left out; on a device too, since
    reading there waits for it."""
    torch = sys.modules["torch"]
    if torch._C._is_torch_function_mode_enabled():
        return f"tensor({_ELLIPSIS})", None, True  # such a mode sees even the shape being asked for
    base = next(each for each in statics.mro(type(obj)) if statics.module_name(each) == "torch._C")
    held = statics.dict_of(base)
    sizes = tuple(held["shape"].__get__(obj))
    dtype, device = held["dtype"].__get__(obj), str(held["device"].__get__(obj))
    kind = f"dtype={dtype}" + ("" if device == "cpu" else f", device={device!r}")
    if device != "cpu" or not _quiet(torch, obj, held):
        return f"tensor({kind})", _shape(sizes), True
    total = 1
    for size in sizes:
        total *= size
    cells = [repr(cell) for cell in _first(base, obj, sizes, min(total, items))]
    if not sizes:
        return f"tensor({cells[0]}, {kind})", "scalar", False
    shown, cut = _listed(cells, total)
    return f"tensor({shown}, {kind})", _shape(sizes), cut


def _quiet(torch: Any, obj: Any, held: Any) -> bool:
    """Whether reading an item is nobody's business but torch's."""
    core = torch._C
    return bool(
        held["layout"].__get__(obj) is torch.strided
        and not held["is_quantized"].__get__(obj)
        and not core._len_torch_dispatch_stack()
        and core._get_tracing_state() is None
        and not core._functorch.is_functorch_wrapped_tensor(obj)
    )


def _first(base: Any, obj: Any, sizes: "Tuple[int, ...]", count: int) -> "List[Any]":
    """The first items in row-major order, each by its own place: nothing large is copied."""
    values = base.detach(obj)
    found = []
    for number in range(count):
        at, rest = [], number
        for size in reversed(sizes):
            rest, place = divmod(rest, size)
            at.append(place)
        found.append(base.item(base.__getitem__(values, tuple(reversed(at)))))
    return found
