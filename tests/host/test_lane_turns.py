"""Whose turn it is in the lane: fairness, deadlines, and requests that are decoded together."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.host.conftest import Running
from tests.host.test_host import COUNT, TEXT, ask, texts, wait_until

pytestmark = pytest.mark.model


@pytest.fixture
def engine(exact: Any) -> Any:
    """A lane of its own in float32, so that rounding does not depend on who else is in the batch."""
    from backtrail_model.host.engine import Engine
    from backtrail_model.host.generate import Counters, Lane
    from backtrail_model.host.prefixes import Prefixes
    from backtrail_model.host.prompts import Prompts

    engine = Engine(
        Lane(exact.model, Prefixes(1 << 26), Counters()), Prompts(exact.tokenizer, exact.model.config)
    )
    yield engine
    engine.close()


class Asked:
    """A request to the engine: its text once it has ended."""

    def __init__(
        self,
        engine: Any,
        prompt: str,
        *,
        client: str = "",
        max_tokens: int = 8,
        batched: bool | None = None,
        **more: Any,
    ) -> None:
        from backtrail_model.host.generate import Task
        from backtrail_model.host.jobs import Priority

        self.text, self.done, self.over = "", None, threading.Event()
        task = Task(engine.prompts.plain(prompt), max_tokens, lookup=False, batched=batched)
        self.job = engine.submit(task, (), Priority.PERSON, self._take, client=client, **more)

    def _take(self, event: Any) -> None:
        from backtrail_model.host.jobs import Piece

        if isinstance(event, Piece):
            self.text += event.text
        else:
            self.done = event
            self.over.set()

    def wait(self) -> Any:
        assert self.over.wait(60)
        return self


def test_requests_that_wait_together_are_decoded_together_and_say_the_same(engine: Any) -> None:
    prompts = ["The capital of France is", "def add(a, b):\n    return", "red green blue red green"]
    alone = [Asked(engine, prompt).wait().text for prompt in prompts]
    engine.lane.prefixes.clear()
    with engine._changed:  # so that all are there before the lane looks
        asked = [Asked(engine, prompt) for prompt in prompts]
    assert [one.wait().text for one in asked] == alone
    assert engine.record.chosen["together"] == len(prompts)


def test_one_of_several_that_is_cancelled_leaves_the_others(engine: Any) -> None:
    with engine._changed:
        stays, goes = (Asked(engine, f"{name} one two three one two", max_tokens=40) for name in "ab")
        goes.job.cancelled.set()
    assert stays.wait().done.output_tokens == 40
    assert goes.wait().done.output_tokens == 0
    assert engine.record.cancelled == 1


def test_a_greedy_client_does_not_starve_another(engine: Any) -> None:
    order: list[str] = []
    asked = {"max_tokens": 6, "batched": False}
    with engine._changed:
        many = [Asked(engine, f"{n} one two", client="many", **asked) for n in range(4)]
        one = Asked(engine, "one two three", client="one", **asked)
    for each, name in [*((each, "many") for each in many), (one, "one")]:
        threading.Thread(target=lambda a=each, n=name: (a.wait(), order.append(n))).start()
    wait_until(lambda: len(order) == 5)
    assert order.index("one") <= 1, "after the first of many, it is the other's turn"


def test_a_prefetch_gives_way_within_a_step_and_goes_on_where_it_was(engine: Any) -> None:
    """A person comes at its first event, and at its third."""
    from backtrail_model.host.generate import Task
    from backtrail_model.host.jobs import Piece, Priority

    prompts = engine.prompts
    person = Task(prompts.plain("The capital of France is"), 6, lookup=False)
    prefetch = Task(prompts.plain("one two three four " * 10), 30, lookup=False)

    def ask(task: Task, priority: Priority, name: str, events: list[str], second: int | None = None) -> None:
        def sink(event: Any) -> None:
            events.append(name if isinstance(event, Piece) else f"{name} done {event.output_tokens}")
            if len(events) == second:
                ask(person, Priority.PERSON, "person", events)

        engine.submit(task, (), priority, sink)

    for second in (1, 3):
        events: list[str] = []
        engine.lane.prefixes.clear()
        passes = engine.lane.counters.passes
        ask(prefetch, Priority.PREFETCH, "prefetch", events, second)
        wait_until(lambda told=events: sum("done" in one for one in told) == 2)
        came = events.index("person")
        assert came <= second + 1, "at most the step that was being made came before"
        assert "prefetch" not in events[came : events.index("person done 6")]
        assert events[-1] == "prefetch done 30"
        assert engine.lane.counters.passes - passes == 30 + 6, "nothing was computed twice"


def test_what_is_late_is_not_computed(engine: Any) -> None:
    late = Asked(engine, COUNT, deadline=time.monotonic() - 1).wait()
    assert late.done.late
    assert late.done.output_tokens == 0
    soon = Asked(engine, COUNT, max_tokens=3000, deadline=time.monotonic() + 0.5).wait()
    assert soon.done.late
    assert soon.done.output_tokens < 3000


def test_a_deadline_is_told_as_a_timeout(running: Running) -> None:
    answer = running.client.post(
        TEXT, json={"prompt": COUNT, "max_tokens": 3000}, headers={"X-Backtrail-Deadline": "0.3"}
    )
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "deadline_exceeded"
    wrong = running.client.post(TEXT, json={"prompt": "a"}, headers={"X-Backtrail-Deadline": "soon"})
    assert wrong.status_code == 400


def test_an_out_of_memory_error_is_told_and_the_lane_goes_on(running: Running, monkeypatch: Any) -> None:
    import torch

    lane = running.host.engine.lane  # type: ignore[attr-defined]
    real = lane.model.passing

    def exhausted(ids: Any, cache: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(lane.model, "passing", exhausted, raising=False)
    answer = running.client.post(TEXT, json={"prompt": "something new " * 4, "max_tokens": 2})
    assert answer.status_code == 500
    assert "shorter prompt or fewer samples" in answer.json()["error"]["message"]
    monkeypatch.setattr(lane.model, "passing", real, raising=False)
    assert texts(ask(running))[0]
