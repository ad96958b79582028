"""What each audit event of Python means, and whether it may pass.

Told apart by what is done, not by who does it. A rule gets the policy, the event's arguments and the
frame, and returns None for what is no side effect.
"""

from __future__ import annotations

import io
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, FrozenSet, List, Optional, Tuple

    Rule = Callable[["Policy", Any, Any], Optional["Verdict"]]

_realpath, _fsdecode, _getpid = os.path.realpath, os.fsdecode, os.getpid
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_GENERATIONS = 20  # of child processes; so many the limits hardly allow
_HARMLESS_FOLDERS = ("/dev/fd/", "/dev/pts/", "/dev/shm/", "/proc/self/fd/")
_HARMLESS_FILES = frozenset(
    ("/dev/null", "/dev/tty", "/dev/stdout", "/dev/stderr", "/dev/zero", "/dev/full", "nul", "NUL")
)
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1", "", "0.0.0.0", "::"))
_QUESTIONS = frozenset(("uname", "ldconfig", "/sbin/ldconfig", "/usr/sbin/ldconfig"))
_GIT_QUESTIONS = frozenset(("rev-parse", "describe", "log", "status", "show", "ls-files", "diff"))
"""Commands that only answer: libraries and pytest's plugins ask them while they start."""


class Verdict:
    """`what` reads on in a sentence, before `detail`. `soft`: an ordinary PermissionError will do."""

    __slots__ = ("allowed", "detail", "kind", "soft", "what")

    def __init__(self, kind: str, what: str, detail: str, allowed: bool, soft: bool = False) -> None:
        self.kind = kind
        self.what = what
        self.detail = detail
        self.allowed = allowed
        self.soft = soft


class Policy:
    """`kinds` are allowed altogether; below `scratch` and `folders` anything may be written."""

    def __init__(self, kinds: FrozenSet[str], scratch: str, folders: Tuple[str, ...] = ()) -> None:
        self.kinds = kinds
        self._scratch = _with_sep(_realpath(scratch))
        self._folders = tuple(_with_sep(_realpath(folder)) for folder in folders)
        home = os.path.expanduser("~")
        caches = [os.environ.get("XDG_CACHE_HOME"), os.environ.get("LOCALAPPDATA")]
        caches += [os.path.join(home, ".cache"), os.path.join(home, "Library", "Caches")]
        self._caches = tuple(_with_sep(_realpath(path)) for path in caches if path)

    def is_scratch(self, path: str) -> bool:
        """Temporary files are the program's own, and nobody wants to read of each."""
        return _with_sep(path).startswith(self._scratch)

    def may_write(self, path: str) -> bool:
        return _with_sep(path).startswith((self._scratch, *self._folders))

    def is_cache(self, path: str) -> bool:
        """Libraries keep things there, and know how to live without."""
        return _with_sep(path).startswith(self._caches)


def _with_sep(path: str) -> str:
    return path if path.endswith(os.sep) else path + os.sep


def _absolute(path: Any, folder: int = -1) -> str:
    """The real path; empty for what is no path, such as an open descriptor."""
    if isinstance(path, int) or path is None:
        return ""
    name = _fsdecode(path)
    if folder >= 0 and not os.path.isabs(name):
        name = os.path.join(_realpath(f"/proc/self/fd/{folder}"), name)
    # The last part is not followed: what is removed or renamed is the link itself.
    head, tail = os.path.split(name)
    return os.path.join(_realpath(head or "."), tail)


def _write(policy: Policy, what: str, path: str, kind: str = "write") -> Optional[Verdict]:
    if not path or path in _HARMLESS_FILES or path.startswith(_HARMLESS_FOLDERS):
        return None
    if policy.is_scratch(path):
        return None
    return Verdict(kind, what, path, policy.may_write(path), soft=policy.is_cache(path))


def _open(policy: Policy, args: Any, frame: Any) -> Optional[Verdict]:
    path, mode, flags = args
    if isinstance(path, int) or path is None:
        return None
    writes = isinstance(flags, int) and flags & _WRITES
    if not writes and not (isinstance(mode, str) and any(sign in mode for sign in "wax+")):
        return None
    real = _realpath(_fsdecode(path))
    if real.startswith("/proc/") and "/fd/" in real:
        return None
    return _write(policy, "opening for writing", real)


def _changes(what: str, *places: Tuple[int, int], kind: str = "write") -> Rule:
    """For events with paths at the given places, each with the place of its folder's descriptor."""

    def rule(policy: Policy, args: Any, frame: Any) -> Optional[Verdict]:
        found: Optional[Verdict] = None
        for at, folder_at in places:
            folder = args[folder_at] if 0 <= folder_at < len(args) else -1
            path = _absolute(args[at], folder if isinstance(folder, int) else -1)
            verdict = _write(policy, what, path, kind)
            if verdict is not None and not verdict.allowed:
                return verdict
            found = found or verdict
        return found

    return rule


def _database(policy: Policy, args: Any, frame: Any) -> Optional[Verdict]:
    """SQLite opens its files by itself, and nobody can tell whether it will write."""
    if not isinstance(args[0], (str, bytes)):
        return None
    text = _fsdecode(args[0])
    if "mode=ro" in text or "mode=memory" in text or "immutable=1" in text:
        return None
    path = text[len("file:") :].partition("?")[0] if text.startswith("file:") else text
    if path in ("", ":memory:"):
        return None
    return _write(policy, "opening the database", _realpath(path))


def _network(what: str, address_at: int) -> Rule:
    def rule(policy: Policy, args: Any, frame: Any) -> Optional[Verdict]:
        address = args[address_at]
        if isinstance(address, (str, bytes)):  # a socket in the file system
            text = _fsdecode(address)
            if not text or policy.may_write(_realpath(text)) or (text[0] == "\0" and what == "binding"):
                return None
            return Verdict("network", what, text.replace("\0", "@"), "network" in policy.kinds)
        host = address[0] if isinstance(address, tuple) and address else None
        if (what == "binding" and host in _LOOPBACK) or _is_socketpair(frame):
            return None
        return Verdict("network", what, _shown(address), "network" in policy.kinds)

    return rule


def _shown(address: Any) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        return f"{address[0]}:{address[1]}"
    return type(address).__name__


def _is_socketpair(frame: Any) -> bool:
    """Where the system has no socketpair (Windows), Python makes one over loopback."""
    return bool(frame.f_code.co_name.endswith("socketpair") and frame.f_globals.get("__name__") == "socket")


def _lookup(policy: Policy, args: Any, frame: Any) -> Optional[Verdict]:
    host = args[0].decode("ascii", "replace") if isinstance(args[0], bytes) else args[0]
    if not isinstance(host, str) or host in _LOOPBACK:
        return None
    if host.replace(".", "").isdigit() or ":" in host:
        return None  # a number is looked up nowhere
    return Verdict("network", "looking up the host", host, "network" in policy.kinds)


def _command(what: str, command_at: int) -> Rule:
    def rule(policy: Policy, args: Any, frame: Any) -> Optional[Verdict]:
        words = _words(args[command_at])
        asks = bool(words) and (words[0] in _QUESTIONS or _asks_git(words))
        allowed = asks or "subprocess" in policy.kinds
        return Verdict("subprocess", what, " ".join(words)[:200], allowed)

    return rule


def _asks_git(words: List[str]) -> bool:
    return len(words) > 1 and os.path.basename(words[0]) == "git" and words[1] in _GIT_QUESTIONS


def _words(command: Any) -> List[str]:
    if isinstance(command, (str, bytes)):
        return [_fsdecode(command)]
    if isinstance(command, (list, tuple)):
        plain = (str, bytes)
        return [_fsdecode(word) if isinstance(word, plain) else type(word).__name__ for word in command[:20]]
    return [type(command).__name__]


def _popen(policy: Policy, args: Any, frame: Any) -> Optional[Verdict]:
    executable, command = args[0], args[1]
    return _command("starting", 0)(policy, [command or executable], frame)


def _kill(policy: Policy, args: Any, frame: Any) -> Optional[Verdict]:
    pid = args[0]
    if pid in (0, _getpid()) or args[1] == 0 or _is_child(pid):
        return None
    return Verdict("kill", "signalling process", str(pid), False)


def _kill_group(policy: Policy, args: Any, frame: Any) -> Optional[Verdict]:
    group = args[0]
    if group in (0, os.getpgrp()) or args[1] == 0 or _is_child(group):
        return None
    return Verdict("kill", "signalling process group", str(group), False)


def _is_child(pid: int) -> bool:
    if not hasattr(os, "waitid"):
        return False
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except OSError:
        return _descends(pid)
    return True


def _descends(pid: int) -> bool:
    """A child's child, where the system tells: the workers of multiprocessing's fork server are such.

    One that is gone already counts too: a signal to nobody does nothing, and a pool that ends signals
    workers that may just have ended by themselves.
    """
    own, above = _getpid(), pid
    for _ in range(_GENERATIONS):
        parent = _parent(above)
        if parent is None:
            return above == pid and _parent(own) is not None
        if parent in (own, 0, 1):
            return parent == own
        above = parent
    return False


def _parent(pid: int) -> Optional[int]:
    """The process that started one; None if there is none such, or the system does not tell."""
    try:
        with io.open_code(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _library(policy: Policy, args: Any, frame: Any) -> Optional[Verdict]:
    """Loading a library is written down and let through: what it does next cannot be seen from here."""
    if not isinstance(args[0], (str, bytes)) or not args[0]:
        return None
    return Verdict("ctypes", "loading", _fsdecode(args[0]), True)


def _function(policy: Policy, args: Any, frame: Any) -> Optional[Verdict]:
    """A function that the program itself looked up in a library: its name is all that can be told."""
    name = args[1]
    if not isinstance(name, str) or _is_starting(frame):
        return None
    return Verdict("ctypes", "using", name, True)


def _is_starting(frame: Any) -> bool:
    """Whether `ctypes` itself is being imported, which looks up some functions."""
    while frame is not None and frame.f_globals.get("__name__") == "ctypes":
        if frame.f_code.co_name == "<module>":
            return True
        frame = frame.f_back
    return False


def _registry(policy: Policy, args: Any, frame: Any) -> Optional[Verdict]:
    return Verdict("registry", "changing", "the registry", False)


RULES: Dict[str, Rule] = {
    "open": _open,
    "os.mkdir": _changes("making the folder", (0, 2)),
    "os.remove": _changes("removing", (0, 1), kind="delete"),
    "os.rmdir": _changes("removing the folder", (0, 1), kind="delete"),
    "os.rename": _changes("renaming", (0, 2), (1, 3)),
    "os.link": _changes("linking", (1, 3)),
    "os.symlink": _changes("linking", (1, 2)),
    "os.chmod": _changes("changing the mode of", (0, 2)),
    "os.chown": _changes("changing the owner of", (0, 3)),
    "os.lchmod": _changes("changing the mode of", (0, -1)),
    "os.chflags": _changes("changing the flags of", (0, -1)),
    "os.truncate": _changes("truncating", (0, -1)),
    "os.utime": _changes("changing the times of", (0, 3)),
    "os.setxattr": _changes("changing the attributes of", (0, -1)),
    "os.removexattr": _changes("changing the attributes of", (0, -1)),
    "shutil.rmtree": _changes("removing all of", (0, 1), kind="delete"),
    "shutil.move": _changes("moving", (0, -1), (1, -1)),
    "sqlite3.connect": _database,
    "socket.connect": _network("connecting to", 1),
    "socket.bind": _network("binding", 1),
    "socket.sendto": _network("sending to", 1),
    "socket.getaddrinfo": _lookup,
    "socket.gethostbyname": _lookup,
    "socket.gethostbyaddr": _lookup,
    "subprocess.Popen": _popen,
    "os.system": _command("running", 0),
    "os.exec": _command("becoming", 1),
    "os.posix_spawn": _command("starting", 1),
    "os.spawn": _command("starting", 2),
    "os.startfile": _command("opening", 0),
    "os.startfile/2": _command("opening", 0),
    "pty.spawn": _command("starting", 0),
    "webbrowser.open": _command("opening in a browser", 0),
    "os.kill": _kill,
    "os.killpg": _kill_group,
    "ctypes.dlopen": _library,
    "ctypes.dlsym": _function,
    "winreg.CreateKey": _registry,
    "winreg.DeleteKey": _registry,
    "winreg.DeleteValue": _registry,
    "winreg.SetValue": _registry,
}
