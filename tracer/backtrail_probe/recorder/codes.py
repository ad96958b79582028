"""What the recorder knows of a code object: its counters, and which of its variables count."""

from __future__ import annotations

from types import CodeType

from backtrail_probe.scope import Scope
from backtrail_probe.statics import identity, quote

from .bytecode import borrowed_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, FrozenSet, List, Optional, Set, Tuple

    Variable = Tuple[str, str, str]  # its name, the name as JSON, and that with what stands before an int

_OPTIMIZED, _VARARGS, _VARKEYWORDS, _GENERATOR = 0x1, 0x4, 0x8, 0x20 | 0x80 | 0x200
_FOLDED = frozenset(("<listcomp>", "<setcomp>", "<dictcomp>"))


class CodeInfo:
    """One traced code object. The counters are those of the current item (test).

    `folded`: up to Python 3.11 a comprehension is a frame of its own, from 3.12 on it is a part of
    its function. To be the same everywhere, such a frame's lines count as its caller's.
    """

    __slots__ = (
        "arguments", "calls", "capped", "code", "fast", "folded", "generator", "hidden", "hits", "id", "idle",
        "live", "namespace", "path", "sets", "single", "top", "touched", "ways",
    )  # fmt: skip

    def __init__(self, code: Any, number: int, path: str) -> None:
        flags = code.co_flags
        count = (
            code.co_argcount + code.co_kwonlyargcount + bool(flags & _VARARGS) + bool(flags & _VARKEYWORDS)
        )
        self.code = code  # keeps the id of the code object from being used again
        self.id = number
        self.path = path
        self.arguments: "FrozenSet[str]" = frozenset(code.co_varnames[:count])
        self.namespace = not flags & _OPTIMIZED
        self.generator = bool(flags & _GENERATOR)
        self.folded = code.co_name in _FOLDED
        self.hidden = borrowed_names(code)
        self.live = 0
        self.sets: "Optional[Dict[int, Tuple[Variable, ...]]]" = None  # see `assigned`; made when it pays
        self.top: Any = None  # the state of the frame of this code that runs now
        self.single = not self.folded  # every frame of this code has a state, so that `top` can be relied on
        self.reset()

    def reset(self) -> None:
        self.hits: "Dict[int, int]" = {}
        self.capped: "Set[int]" = set()
        self.calls = 0
        self.idle = 0  # line events over the cap since the last one that was kept
        self.touched = False
        self.fast: Any = None  # the same as `top` where nothing has to be looked at twice (see `hot.py`)
        self.ways: "Dict[int, Dict[int, Any]]" = {}  # from each line to those that came next (see `hot.py`)


class CodeTable:
    """Code objects by identity: their `__eq__` compares contents, which is slow and may be wrong."""

    def __init__(self, scope: Scope, overlay: "Dict[str, str]") -> None:
        self._scope = scope
        self._overlay = overlay
        self.known: "Dict[int, Tuple[Any, Optional[CodeInfo]]]" = {}
        self._files: "Dict[str, int]" = {}
        self._count = 0
        self._names: "Dict[int, str]" = {}
        self.news: "List[str]" = []
        self._told: "List[str]" = []
        self.on_source: "Optional[Callable[[str], None]]" = None  # gets each text that runs

    def of(self, code: Any) -> "Optional[CodeInfo]":
        """None for code that is not traced. Records that tell of new files and codes are left in `news`."""
        known = self.known.get(identity(code))
        if known is not None:
            return known[1]
        disposition = self._scope.of(code.co_filename)
        info = self._add(code, disposition.path) if disposition.traced else None
        self.known[identity(code)] = (code, info)
        return info

    def tell_again(self) -> None:
        """All that is known is news to a new log."""
        self.news = list(self._told)

    def is_users(self, filename: str) -> bool:
        return self._scope.traces(filename)

    def unfold(self, frame: Any) -> "Tuple[Any, Optional[CodeInfo]]":
        """The frame that a comprehension's lines count for; its code is None if that is not traced."""
        while frame is not None:
            info = self.of(frame.f_code)
            if info is None or not info.folded:
                return frame, info
            frame = frame.f_back
        return None, None

    def all(self) -> "List[CodeInfo]":
        return [info for _, info in list(self.known.values()) if info is not None]

    def name_all(self, code: Any, prefix: str = "") -> None:
        """Qualified names of all code inside a module's, for Pythons that do not keep them (3.9, 3.10)."""
        if hasattr(code, "co_qualname"):
            return
        for inner in code.co_consts:
            if type(inner) is CodeType:
                self._names[identity(inner)] = name = prefix + inner.co_name
                self.name_all(inner, name + ("." if not inner.co_flags & _OPTIMIZED else ".<locals>."))

    def _add(self, code: Any, path: str) -> CodeInfo:
        number = self._files.get(path)
        if number is None:
            number = self._files[path] = len(self._files) + 1
            self._tell(f'["file",{number},{quote(path)},"{self._hash(path)}"]\n')
        self._count += 1
        name = getattr(code, "co_qualname", None) or self._names.get(identity(code), code.co_name)
        self._tell(f'["code",{self._count},{number},{quote(name)},{code.co_firstlineno}]\n')
        return CodeInfo(code, self._count, path)

    def _tell(self, record: str) -> None:
        self.news.append(record)
        self._told.append(record)

    def _hash(self, path: str) -> str:
        """SHA-256 of the text that runs: the overlay's if there is one. Empty if it cannot be read."""
        text = self._overlay.get(path)
        try:
            if text is not None:
                data = text.encode("utf-8", "surrogatepass")
            else:
                with open(path, "rb") as file:
                    data = file.read()
        except OSError:
            return ""
        if self.on_source is not None:
            self.on_source(data.decode("utf-8", "replace"))
        return _sha256(data)


def _sha256(data: bytes) -> str:
    """By the interpreter's own module, which starts a good deal faster than OpenSSL behind hashlib."""
    for name in ("_sha2", "_sha256", "hashlib"):
        try:
            return str(__import__(name).sha256(data).hexdigest())
        except ImportError:
            continue
    return ""
