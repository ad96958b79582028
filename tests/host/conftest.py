"""A real host with the real 135M model, served on loopback by a thread of the test process."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before any test loads torch; see host/__init__.py

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from attrs import frozen
from prometheus_client.parser import text_string_to_metric_families

TOKEN = "token-of-the-tests"


@frozen
class Running:
    """A host that serves: `client` knows its token, `host` is the object behind it."""

    client: httpx.Client
    host: object
    url: str

    def counter(self, name: str, **labels: str) -> int:
        """A number of /metrics, by its name without the prefix."""
        for family in text_string_to_metric_families(self.client.get("/metrics").text):
            for sample in family.samples:
                if sample.name == f"backtrail_{name}" and labels.items() <= sample.labels.items():
                    return int(sample.value)
        raise KeyError(name)


@pytest.fixture(scope="session")
def small_folder():
    from backtrail_model import weights

    return weights.prepare("smollm2-135m")


@pytest.fixture(scope="session")
def small(small_folder):
    """The 135M model in the form that this machine would choose."""
    from backtrail_model.host.load import load

    return load(small_folder)


@pytest.fixture(scope="session")
def exact(small_folder):
    """The 135M model in float32: what differs there differs because of logic, not of rounding."""
    import torch

    from backtrail_model.host.load import Form, load

    return load(small_folder, Form("cpu", torch.float32, False, "for the tests"))


def serving(loaded, *, name: str = "smollm2-135m", waiting: int = 64) -> Iterator[Running]:
    import uvicorn

    from backtrail_model.host import serve

    host = serve.build(loaded, name, "for the tests", TOKEN, waiting=waiting)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(host.app(), log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=120) as client:
        while not server.started:
            time.sleep(0.01)
        yield Running(client, host, url)
    server.should_exit = True
    host.engine.close()
    thread.join(timeout=10)


@pytest.fixture(scope="session")
def running(small) -> Iterator[Running]:
    yield from serving(small)


@pytest.fixture
def narrow(small) -> Iterator[Running]:
    """A host whose queue holds two requests."""
    yield from serving(small, waiting=2)
