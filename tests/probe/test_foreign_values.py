"""Arrays, frames and tensors are shown by shape, type and first items, with the real packages; nothing is
imported for it, and no code of a user's is called."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy
import pytest

from backtrail_probe.redact import Redactor
from backtrail_probe.values import Renderer
from tests.probe.harness import run_probe


def render(value: Any, chars: int = 300, items: int = 4) -> tuple[str, str, dict[str, Any]]:
    kind, text, *meta = json.loads(Renderer(chars, items, 3, Redactor({})).render(value))
    return kind, text, meta[0] if meta else {}


class Bomb(Exception):
    pass


def explode(*_: Any, **__: Any) -> Any:
    raise Bomb


def test_numpy() -> None:
    assert render(numpy.arange(6, dtype="int32").reshape(2, 3))[1] == "array([0, 1, 2, 3, …], dtype=int32)"
    assert render(numpy.array(2.5))[1] == "array([2.5], dtype=float64)"
    assert render(numpy.array(2.5))[2]["shape"] == "scalar"
    assert render(numpy.array([], dtype="bool"))[1] == "array([], dtype=bool)"
    assert render(numpy.array([{}, 1], dtype=object))[1] == "array(dtype=object)"


def test_a_users_subclass_of_an_array_is_not_asked() -> None:
    hooks = ("__repr__", "__getitem__", "__len__", "__iter__", "__array_ufunc__")
    body = {**dict.fromkeys(hooks, explode), "shape": property(explode), "dtype": property(explode)}
    hostile = type("Hostile", (numpy.ndarray,), body)
    made = numpy.ndarray.__new__(hostile, (2, 3), "int64")
    kind, text, meta = render(made)
    assert (kind, text, meta["shape"]) == ("Hostile", "Hostile(dtype=int64)", "2x3")


def test_pandas_frames() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"n": [1, 2, 3], "s": ["a", None, "c"], "f": [0.5, 1, 2], "m": pandas.array([1, None, 3])}
    )
    kind, text, meta = render(frame, items=8)
    assert (kind, meta["shape"]) == ("DataFrame", "3x4")
    assert text.startswith("DataFrame({'n': [1, 2, 3], 's': ['a', ")
    assert text.endswith("'f': [0.5, 1.0, 2.0], 'm': [1, <NA>, 3]})")
    wide = pandas.DataFrame({f"c{n}": range(10) for n in range(6)})
    assert render(wide)[1].endswith("'c3': [0, 1, …], …})") and render(wide)[2]["cut"]
    assert render(pandas.DataFrame())[1:2] == ("DataFrame({})",)
    assert "'c': <category>" in render(pandas.DataFrame({"c": pandas.Categorical(["x"])}))[1]
    assert "'t': ['2020-01-02T" in render(pandas.DataFrame({"t": pandas.to_datetime(["2020-01-02"])}))[1]


def test_pandas_series_and_index() -> None:
    pandas = pytest.importorskip("pandas")
    series = pandas.Series([1, 2, 3, 4, 5], name="x")
    assert render(series)[1] == "Series([1, 2, 3, 4, …], name='x', dtype=int64)"
    assert render(series)[2]["shape"] == "5"
    assert render(pandas.Index(["a", "b"]))[1] == "Index(['a', 'b'])"
    assert render(pandas.RangeIndex(3))[1] == "RangeIndex([0, 1, 2])"


def test_a_frame_that_holds_users_objects_calls_none_of_their_code() -> None:
    pandas = pytest.importorskip("pandas")
    hostile = type("Hostile", (), dict.fromkeys(("__repr__", "__str__", "__eq__", "__len__"), explode))
    frame = pandas.DataFrame({"held": [None, None]}, dtype=object)
    frame._mgr.blocks[0].values[0, 0] = hostile()
    assert "'held': […, None]" in render(frame)[1]


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.arange(6.0).reshape(2, 3)
    kind, text, meta = render(tensor)
    assert (kind, text) == ("Tensor", "tensor([0.0, 1.0, 2.0, 3.0, …], dtype=torch.float32)")
    assert meta["shape"] == "2x3" and meta["cut"]
    assert render(torch.tensor(7))[1] == "tensor(7, dtype=torch.int64)"
    assert render(torch.zeros(0, 3))[1] == "tensor([], dtype=torch.float32)"
    assert render(tensor.t())[1].startswith("tensor([0.0, 3.0, 1.0, 4.0")
    assert render(torch.nn.Parameter(tensor))[1].startswith("tensor([0.0, 1.0")
    assert render(torch.empty(2, device="meta"))[1] == "tensor(dtype=torch.float32, device='meta')"
    assert render(torch.eye(2).to_sparse())[1] == "tensor(dtype=torch.float32)"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Converting a tensor", "ignore:Iterating over a tensor")
def test_reading_a_tensor_is_seen_by_nobody() -> None:
    torch = pytest.importorskip("torch")
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: list[Any] = []

    class Functions(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(func)
            return func(*args, **(kwargs or {}))

    class Dispatch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(func)
            return func(*args, **(kwargs or {}))

    tensor = torch.ones(2, requires_grad=True)
    with Functions():
        assert render(tensor)[1] == "tensor(…)"
    with Dispatch():
        assert render(tensor)[1] == "tensor(dtype=torch.float32)"
    assert seen == []
    traced = torch.jit.trace(lambda x: (render(x), x * 2)[1], torch.ones(2))
    assert "detach" not in str(traced.graph)
    inside: list[str] = []
    torch.func.vmap(lambda x: (inside.append(render(x)[1]), x)[1])(torch.ones(3, 2))
    assert inside == ["tensor(dtype=torch.float32)"]
    assert tensor.grad is None and tensor._version == 0


def test_a_users_subclass_of_a_tensor_is_not_asked() -> None:
    torch = pytest.importorskip("torch")

    class Mine(torch.Tensor):  # type: ignore[misc]
        @classmethod
        def __torch_function__(cls, *_: Any, **__: Any) -> Any:
            raise Bomb

    kind, text, _ = render(torch.Tensor._make_subclass(Mine, torch.ones(2)))
    assert kind == "Mine" and "not readable" not in text


def test_nothing_is_imported_to_show_a_value() -> None:
    script = (
        "import sys\n"
        "from backtrail_probe.values import Renderer\n"
        "from backtrail_probe.redact import Redactor\n"
        "before = set(sys.modules)\n"
        "class ndarray: pass\n"
        "ndarray.__module__ = 'numpy'\n"
        "render = Renderer(80, 4, 3, Redactor({})).render\n"
        "for value in (ndarray(), object(), [1], {'a': ndarray}): render(value)\n"
        "print(sorted(set(sys.modules) - before), 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[] False\n"


MUTATED = """
    import collections, numpy
    class Box:
        def __init__(self): self.items = []
    def change(items, table, group, box, queue, grid, raw):
        items.append(1)
        table["k"] = 2
        group.add(3)
        box.items.append(4)
        queue.appendleft(5)
        grid[1] = 6
        raw[0] = 7
        items[0] = 1
        items.append([])
        items[1].append("deep")
    change([], {}, set(), Box(), collections.deque(), numpy.zeros(2, dtype="int64"), bytearray(1))
"""


@pytest.mark.parametrize("recorder", ["settrace", "auto"])
def test_mutation_of_what_keeps_its_identity_is_seen(recorder: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ran = run_probe(Path(folder), MUTATED, recorder=recorder)
    assert ran.end["status"] == "completed", ran.err
    told = [step.partition(":")[2] for step in ran.steps() if step.startswith("change:")]
    assert told[1:] == [
        "7 items=[1]",
        "8 table={'k': 2}",
        "9 group={3}",
        "10 box=Box(items=[4])",
        "11 queue=deque([5])",
        "12 grid=array([0, 6], dtype=int64)",
        "13 raw=bytearray(b'\\x07')",
        "14",
        "15 items=[1, []]",
        "15 -> None items=[1, ['deep']]",
    ]
