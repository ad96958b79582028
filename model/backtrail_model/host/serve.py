"""`backtrail host`: weights, model, warm-up, server, host file; until a signal ends it."""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType

import torch
import uvicorn

from backtrail_model import catalogue, hostfile, weights
from backtrail_model.host import owner
from backtrail_model.host.app import Host, Served
from backtrail_model.host.drafts import BYTES, PACKED, Pace
from backtrail_model.host.engine import Engine
from backtrail_model.host.generate import Counters, Lane, Task
from backtrail_model.host.load import Form, Loaded, cpu_form, load
from backtrail_model.host.prefixes import Prefixes
from backtrail_model.host.prompts import Prompts

PORT = 8763
PREFIX_BYTES = 256 << 20
WARM_TOKENS = 32
CONTEXT_RESERVE = 2 << 30
"""Bytes of a GPU left for 8k tokens of context, activations and other programs."""


def main(
    model: str = "auto",
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | None = None,
    *,
    adapter: Path | None = None,
    quiet: bool = False,
    anywhere: bool = False,
    owned: bool = False,
    progress: weights.Progress = weights.silent,
) -> int:
    """Serve `model`, with the adapter in a folder laid over it if one is given; the exit status.

    It ends with SIGINT or SIGTERM, and if it is `owned` with its stdin (see `owner.py`). `port` None takes
    8763, or any free one if that is taken; 0 takes any. A `host` that is not loopback is refused unless
    `anywhere`. The token comes from `token`, BACKTRAIL_TOKEN, or chance.
    """
    if owned:
        owner.end_with(sys.stdin.fileno())
    if not anywhere and not _is_loopback(host):
        _say(f"backtrail host: {host} can be reached from outside. Say so explicitly if you mean it.")
        return 2
    try:
        name, reason = choose_model(model)
        listener = _listen(host, port)
        folder = weights.prepare(name, progress)
        loaded = load_where_it_fits(folder, adapter)
    except weights.WeightsError as error:
        _say(f"backtrail host: {error}")
        return 1
    except OSError as error:
        _say(f"backtrail host: cannot listen on {host}:{PORT if port is None else port}: {error.strerror}")
        return 1
    token = token or os.environ.get("BACKTRAIL_TOKEN") or secrets.token_urlsafe(24)
    return _serve(build(loaded, name, reason, token), listener, token, quiet)


def load_where_it_fits(folder: Path, adapter: Path | None = None) -> Loaded:
    """The model in the form that is fastest; on the CPU if the GPU has no memory for it, and then it says so.

    Raises WeightsError.
    """
    try:
        return load(folder, adapter=adapter)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
    form = cpu_form("the GPU has too little free memory for this model")
    return load(folder, form, adapter)


def choose_model(model: str) -> tuple[str, str]:
    """The model to serve and why. "auto" takes the largest that fits a GPU with 8k of context."""
    if model != "auto":
        return model, "as asked"
    if not torch.cuda.is_available():
        return catalogue.DEFAULT_ON_CPU, "no GPU, so the largest that answers fast enough on a CPU"
    free, _ = torch.cuda.mem_get_info()
    fitting = [
        entry for entry in catalogue.MODELS if entry.auto and entry.nf4_bytes + CONTEXT_RESERVE <= free
    ]
    if not fitting:
        return catalogue.DEFAULT_ON_CPU, f"only {weights.human(free)} are free on the GPU"
    best = max(fitting, key=lambda entry: entry.parameters)
    return best.alias, f"the largest that fits the {weights.human(free)} free on the GPU with 8k of context"


def build(loaded: Loaded, name: str, reason: str, token: str, *, waiting: int = 64) -> Host:
    """A host around a loaded model, its lane started."""
    lane = Lane(loaded.model, Prefixes(PREFIX_BYTES), Counters(), Pace(costs(loaded.form)))
    prompts = Prompts(loaded.tokenizer, loaded.model.config)
    known = catalogue.find(name)
    served = Served(
        model=loaded.name,
        also=frozenset({name, known.alias, known.hub} if known else {name}),
        device=loaded.form.device,
        dtype=("NF4, " if loaded.form.nf4 else "") + str(loaded.form.dtype).removeprefix("torch."),
        reason=f"{reason}; {loaded.form.reason}",
        context=loaded.context,
        version=_version(),
    )
    return Host(Engine(lane, prompts, waiting=waiting), served, token)


def costs(form: Form) -> Mapping[int, float]:
    """What passes cost by their rows, to begin with."""
    in_bytes = form.device == "cpu" and form.nf4 and form.dtype == torch.float32
    return BYTES if in_bytes else PACKED


def warm_up(host: Host) -> None:
    """Run every kind of pass once, so that the first request finds code and weights in memory.

    A short prompt, but of enough tokens for `linear.DENSE_FROM_ROWS`: who waits for the start waits for it.
    """
    task = Task((host.engine.prompts.plain("def f(x):\n    return x\n") * 8)[:WARM_TOKENS], max_tokens=2)
    with torch.inference_mode():
        for _ in host.engine.lane.generate(task, lambda sample: True):
            pass
    host.engine.lane.prefixes.clear()


def _serve(host: Host, listener: socket.socket, token: str, quiet: bool) -> int:
    warm_up(host)
    url = "http://{}:{}".format(*listener.getsockname()[:2])
    note = hostfile.HostNote(
        url=url, token=token, pid=os.getpid(), model=host.served.model, version=_version()
    )
    config = uvicorn.Config(
        host.app(), log_level=logging.WARNING, access_log=False, timeout_graceful_shutdown=2, lifespan="off"
    )
    try:
        hostfile.write(note)
        if not quiet:
            print(
                f"ready: {url}, {host.served.model}, {host.served.device}, {host.served.reason}", flush=True
            )
        _Server(config, host.engine).run(sockets=[listener])
    finally:
        hostfile.remove(os.getpid())
        host.engine.close()
    return 0


class _Server(uvicorn.Server):
    """A server whose first signal also ends what is being generated, so that it need not wait for it."""

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine = engine

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn would raise the signal again after its shutdown; an asked-for end is not a failure.
        self._engine.cancel_all()
        self.force_exit = self.should_exit
        self.should_exit = True


def _listen(host: str, port: int | None) -> socket.socket:
    """A listening socket; raises OSError if the port is asked for and taken."""
    try:
        return socket.create_server((host, PORT if port is None else port), backlog=256)
    except OSError:
        if port is not None:
            raise
        return socket.create_server((host, 0), backlog=256)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _version() -> str:
    try:
        return version("backtrail")
    except PackageNotFoundError:
        return "0"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
