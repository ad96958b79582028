"""What is remembered of a recorded frame, and which of its variables are the user's."""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType, ModuleType

from backtrail_probe import statics
from backtrail_probe.statics import identity, quote

from .codes import CodeInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    from .codes import Variable

    Short = Tuple[str, bytes, Optional[Tuple[Variable, ...]]]
    _Table = Dict[str, str]
else:
    _Table = dict

# By identity: of no class its hash is asked.
_NOT_VALUES = frozenset(map(identity, (ModuleType, FunctionType, BuiltinFunctionType, type)))


class FrameState:
    """One recorded activation. Holds no reference to the frame but while it runs, and of its values only
    immutable ones."""

    __slots__ = (
        "below", "depth", "frame", "fresh", "id", "info", "line", "names", "objects", "plain", "raised",
        "short", "texts", "variables", "ways",
    )  # fmt: skip

    def __init__(self, number: int, info: CodeInfo, depth: int) -> None:
        self.id = number
        self.info = info
        self.depth = depth
        self.line = -1
        self.fresh = True  # its call was told, and nothing of it has run since
        self.raised = False  # an exception came, and no line has run since
        self.objects: Dict[str, Any] = {}  # name -> the value if it is immutable, else _MUTABLE
        # name -> the value as it was last rendered; None for an int, of which no text was kept
        self.texts: Dict[str, Optional[str]] = {}
        self.short: Dict[int, Short] = {}  # by line; see `shorten`
        self.plain = False  # all values are immutable
        self.names: Optional[Tuple[Variable, ...]] = None  # the only ones that can have changed, where known
        # From its last line, for the recorder that tells by words (see `hot.py`).
        self.ways: Dict[int, Any] = {}
        # While it runs, for the recorder that is not handed the frame (see `run`).
        self.frame: Any = None
        self.variables: Any = None
        self.below: Optional[FrameState] = None

    def shorten(self, line: int) -> "Short":
        """Of the short records of a line: the beginning, the whole where nothing changed, and the variables
        that the line can change."""
        head = f'["again",{self.id},{line},{{'
        short = self.short[line] = head, f"{head}}}]\n".encode(), (self.info.sets or {}).get(line)
        return short


class Keys(_Table):
    """A name as JSON; nothing for names that are not the user's: of pytest's rewritten assertions and of
    the iterator of a comprehension or generator expression."""

    def __missing__(self, name: str) -> str:
        key = self[name] = "" if name[:1] in ("@", ".") else quote(name)
        return key

    def of(self, names: "Tuple[str, ...]") -> "Tuple[Variable, ...]":
        keyed = ((name, self[name]) for name in names)
        return tuple((name, key, f'{key}:["int","') for name, key in keyed if key)


def plain_names(namespace: Any) -> "Dict[str, Any]":
    """Of a module or class body: no dunders, no modules, functions and classes; pytest's own `@` names
    neither. A class body's namespace may be of the user's making: then it is read as a dict."""
    if not statics.derives(type(namespace), dict):
        return {}
    return {
        name: value
        for name, value in list(dict.items(namespace))
        if identity(type(value)) not in _NOT_VALUES
        and type(name) is str
        and name[:2] != "__"
        and not statics.derives(type(value), type)
    }
