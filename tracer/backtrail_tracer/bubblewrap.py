"""The sandbox: on Linux, a run happens inside bubblewrap, and the guard in it is only the messenger.

Inside there is no network, every file is read-only but the scratch folder, /tmp and /run are empty and
private, other processes cannot be seen, and the places where people keep keys are empty. What the
person has allowed ("network", "write:PATH") is let through here as it is in the guard.

Elsewhere, and where the kernel grants no namespaces, the guard and the limits remain. What happens there
to a program whose server was killed is in `warden.py` (Linux, macOS) and `job_object.py` (Windows); on
Linux the kernel ends the program itself, too (`setpriv`).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from attrs import frozen

Mode = Literal["auto", "off"]

_TRIAL_S = 5.0
_ISOLATION = (
    "--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--new-session",
    "--cap-drop", "ALL",
)  # fmt: skip
_NO_NETWORK = "--unshare-net"
_PRIVATE = (Path("/tmp"), Path("/run"))  # noqa: S108
_DEVICES = ("nvidia*", "dri", "kfd")
"""What a program computes on; bubblewrap's own /dev has none of it, and CUDA would be gone."""
_RESOLVER = Path("/run/systemd/resolve")
_KEYS = (
    ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store", ".netrc", ".pypirc", ".npmrc",
    ".git-credentials", ".config/gh", ".config/hub", ".config/gcloud", ".config/git/credentials",
    ".config/google-chrome", ".config/chromium", ".mozilla", ".local/share/keyrings",
)  # fmt: skip


@frozen
class Command:
    """A command line, and how many processes of the sandbox stand above the program it starts."""

    argv: tuple[str, ...]
    layers: int = 0


@frozen
class NotAvailable:
    """Why there is no sandbox; the reason reads on in a sentence."""

    reason: str

    def __str__(self) -> str:
        return f"guard only: {self.reason}"


@frozen
class Bubblewrap:
    """A bwrap that has been seen to work here."""

    path: str

    LAYERS = 2  # the one that waits, and the first process of the namespace

    def __str__(self) -> str:
        return "bubblewrap: no network, read-only files"

    def command(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        scratch: Path,
        needed: Iterable[Path] = (),
        allow: Iterable[str] = (),
    ) -> Command:
        """The command line that runs `argv` inside.

        `scratch` can be written at its own path. `needed` are folders that must be seen even when they
        lie below a place that is private inside. "write:PATH" makes the nearest existing folder
        writable, since files are replaced by renaming; the guard is the one that is exact.
        """
        granted = tuple(allow)
        options = [*_ISOLATION, *(() if "network" in granted else (_NO_NETWORK,))]
        options += _files([Path(os.path.realpath(path)) for path in (*needed, cwd)], "network" in granted)
        options += _without_keys(scratch, Path("~").expanduser(), list(needed))
        for folder in (scratch, *_writable(granted, cwd)):
            options += ["--bind", str(folder), str(folder)]
        return Command((self.path, *options, "--chdir", str(cwd), "--", *argv), self.LAYERS)


def level(mode: Mode) -> Bubblewrap | NotAvailable:
    """What holds for a run under the setting `sandbox`; its text says it to a person."""
    return NotAvailable("the setting sandbox is off") if mode == "off" else find()


@cache
def find() -> Bubblewrap | NotAvailable:
    """The sandbox of this machine. It is really tried, once in a process, in some hundredths of a second."""
    if sys.platform != "linux":
        return NotAvailable("bubblewrap is for Linux only")
    path = shutil.which("bwrap")
    if path is None:
        return NotAvailable("bwrap is not installed (the package is called bubblewrap)")
    return _try(path)


def _try(path: str) -> Bubblewrap | NotAvailable:
    command = [path, *_ISOLATION, _NO_NETWORK, *_files([], network=False), "--", "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TRIAL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return NotAvailable(f"{path} cannot be run ({error})")
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return NotAvailable(f"bwrap cannot make namespaces here ({said})")
    return Bubblewrap(path)


def _files(needed: Sequence[Path], network: bool) -> list[str]:
    """All files to be read, with devices and processes of its own, and private places for the rest."""
    private = [place for place in _PRIVATE if place.is_dir() and place not in needed]
    options = ["--ro-bind", "/", "/"]
    for place in private:
        options += ["--tmpfs", str(place)]
    options += ["--dev", "/dev", "--proc", "/proc"]
    for pattern in _DEVICES:
        for device in sorted(Path("/dev").glob(pattern)):
            options += ["--dev-bind-try", str(device), str(device)]
    shown = {path for path in needed if any(place in path.parents for place in private)}
    if network:
        shown.add(_RESOLVER)  # /etc/resolv.conf often is a link to it
    for path in sorted(shown):
        options += ["--ro-bind-try", str(path), str(path)]
    return options


def _without_keys(scratch: Path, home: Path, needed: Sequence[Path]) -> Iterator[str]:
    """Hides what is there; nothing is hidden that the program is run from."""
    empty = scratch / "empty"
    for name in _KEYS:
        path = Path(os.path.realpath(home / name))
        if any(path == each or path in each.parents for each in needed):
            continue
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder may not be entered
            yield from ("--tmpfs", str(path))
        elif os.path.isfile(path):  # noqa: PTH113
            empty.touch()
            yield from ("--ro-bind", str(empty), str(path))


def _writable(allow: Sequence[str], cwd: Path) -> Iterator[Path]:
    for entry in allow:
        if entry.startswith("write:"):
            path = Path(os.path.realpath(cwd / entry.removeprefix("write:")))
            yield next(folder for folder in (path, *path.parents) if folder.is_dir())


def exit_code(status: int) -> int:
    """The exit code of the program by bwrap's own, which tells a signal as a shell does: 128 and more.

    A program that leaves with such a status by itself cannot be told apart here.
    """
    return 128 - status if 128 < status < 128 + signal.NSIG else status


def dying(argv: Sequence[str]) -> Command:
    """Without a sandbox: made to be killed with this process, where `setpriv` is there to do that.

    Children of the program, and one whose server dies within the millisecond before `setpriv` has asked
    for it, are the warden's (see `warden.py`).
    """
    setpriv = _setpriv()
    return Command((setpriv, "--pdeathsig", "KILL", *argv) if setpriv else tuple(argv))


@cache
def _setpriv() -> str | None:
    """Tried once: the one of busybox knows no --pdeathsig."""
    path = shutil.which("setpriv") if sys.platform == "linux" else None
    if path is None:
        return None
    try:
        done = subprocess.run(
            [path, "--pdeathsig", "KILL", "true"], capture_output=True, timeout=_TRIAL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if done.returncode == 0 else None
