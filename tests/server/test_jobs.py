"""Jobs: the latest wins, a cancel is heard, a deadline holds, and nothing overlaps that must not."""

from __future__ import annotations

import asyncio

import pytest

from backtrail_server.jobs import Job, Jobs


class Log:
    """What happened, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.errors: list[BaseException] = []

    def jobs(self, places: int = 2) -> Jobs:
        return Jobs(lambda _, error: self.errors.append(error), places)

    def work(self, name: str, seconds: float = 0.0, cleanup: float = 0.0):  # type: ignore[no-untyped-def]
        async def run(job: Job[str]) -> str:
            self.events.append(f"{name} begins")
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                await asyncio.sleep(cleanup)
                self.events.append(f"{name} cleaned up: {job.reason}")
                raise
            self.events.append(f"{name} ends")
            return name

        return run


async def test_a_newer_job_starts_when_the_older_one_has_cleaned_up() -> None:
    log = Log()
    jobs = log.jobs()
    old = jobs.start("key", log.work("old", 10, cleanup=0.05), owner="test")
    await asyncio.sleep(0.01)
    new = jobs.start("key", log.work("new"), owner="test")
    assert await new.result() == "new"
    with pytest.raises(asyncio.CancelledError):
        await old.result()
    assert log.events == ["old begins", "old cleaned up: replaced by a newer one", "new begins", "new ends"]


async def test_of_many_saves_only_the_last_begins_after_the_pause() -> None:
    log = Log()
    jobs = log.jobs()
    for n in range(20):
        last = jobs.start("key", log.work(str(n)), owner="test", debounce_s=0.02)
        await asyncio.sleep(0.001)
    assert await last.result() == "19"
    assert log.events == ["19 begins", "19 ends"] and len(jobs) == 0


async def test_a_third_job_waits_for_the_first_that_still_cleans_up() -> None:
    log = Log()
    jobs = log.jobs()
    jobs.start("key", log.work("one", 10, cleanup=0.1), owner="test")
    await asyncio.sleep(0.01)
    jobs.start("key", log.work("two", 10), owner="test")
    await asyncio.sleep(0.01)
    await jobs.start("key", log.work("three"), owner="test").result()
    assert log.events[1].startswith("one cleaned up") and log.events[2] == "three begins"


async def test_other_keys_go_on_and_places_are_shared() -> None:
    log = Log()
    jobs = log.jobs(places=1)

    async def placed(job: Job[None]) -> None:
        async with jobs.place("root"):
            log.events.append(f"{job.key} in")
            await asyncio.sleep(0.02)
            log.events.append(f"{job.key} out")

    running = [jobs.start(key, placed, owner="test") for key in "ab"]
    for job in running:
        await job.result()
    assert log.events == ["a in", "a out", "b in", "b out"]


async def test_a_deadline_ends_the_job_and_is_reported() -> None:
    log = Log()
    job = log.jobs().start("key", log.work("slow", 10), owner="test", deadline_s=0.02)
    with pytest.raises(TimeoutError):
        await job.result()
    assert [type(error) for error in log.errors] == [TimeoutError]


async def test_giving_up_the_wait_does_not_stop_the_work() -> None:
    log = Log()
    job = log.jobs().start("key", log.work("job", 0.05), owner="test")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(job.result(), 0.01)
    assert await job.result() == "job"


async def test_close_waits_until_everything_has_cleaned_up() -> None:
    log = Log()
    jobs = log.jobs()
    for name in "ab":
        jobs.start(name, log.work(name, 10, cleanup=0.05), owner="test")
    await asyncio.sleep(0.01)
    await jobs.close()
    assert sorted(log.events[2:]) == [f"{n} cleaned up: the server is shutting down" for n in "ab"]
    assert len(jobs) == 0 and log.errors == []
