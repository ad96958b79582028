"""What the host did, in Prometheus' text form: what was asked, what was chosen, and what that saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from attrs import define, field
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backtrail_model.host.generate import Counters
from backtrail_model.host.jobs import Job

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)


@define
class Record:
    """What the engine tells of its requests. Only the lane's thread writes, but for `refused`."""

    finished: int = 0
    cancelled: int = 0
    failed: int = 0
    refused: int = 0
    chosen: dict[str, int] = field(factory=dict)
    """Requests by how they were decoded: plain, drafts, batch (its own samples), together (with others)."""
    registry: CollectorRegistry = field(factory=CollectorRegistry)
    first_token: Histogram = field(init=False)
    whole: Histogram = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.first_token = Histogram(
            "backtrail_time_to_first_token_seconds",
            "From the request to its first token, the wait in the queue included.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.whole = Histogram(
            "backtrail_request_seconds",
            "From the request to its last token.",
            buckets=SECONDS,
            registry=self.registry,
        )

    def began(self, mode: str, jobs: int) -> None:
        self.chosen[mode] = self.chosen.get(mode, 0) + jobs

    def ended(self, job: Job, error: str | None) -> None:
        if error is not None:
            self.failed += 1
        elif job.over:
            self.finished += 1
            self.whole.observe(time.monotonic() - job.submitted)
        else:
            self.cancelled += 1
        if job.first is not None:
            self.first_token.observe(job.first - job.submitted)


class Figures(Collector):
    """Reads the counters when they are asked for, so that the lane spends no time on them."""

    def __init__(
        self, record: Record, counters: Counters, queued: Callable[[], int], prefix_bytes: Callable[[], int]
    ) -> None:
        self._record, self._counters = record, counters
        self._queued, self._prefix_bytes = queued, prefix_bytes

    def collect(self) -> Iterable[Metric]:
        yield from self._requests()
        yield from self._tokens()
        yield GaugeMetricFamily(
            "backtrail_requests_queued", "Requests that run or wait.", value=self._queued()
        )
        yield GaugeMetricFamily(
            "backtrail_prefix_bytes", "Bytes of remembered prompts.", value=self._prefix_bytes()
        )

    def _requests(self) -> Iterable[Metric]:
        record = self._record
        ended = CounterMetricFamily("backtrail_requests", "Requests by their end.", labels=["end"])
        for end in ("finished", "cancelled", "failed", "refused"):
            ended.add_metric([end], getattr(record, end))
        yield ended
        chosen = CounterMetricFamily(
            "backtrail_decoded", "Requests by the way of decoding that was chosen.", labels=["mode"]
        )
        for mode, count in sorted(record.chosen.items()):
            chosen.add_metric([mode], count)
        yield chosen

    def _tokens(self) -> Iterable[Metric]:
        counters = self._counters
        for name, said, value in (
            ("forward_passes", "Passes through the model.", counters.passes),
            ("prompt_tokens", "Tokens of prompts, reused ones included.", counters.prompt_tokens),
            ("reused_tokens", "Tokens of prompts that were not read again.", counters.reused_tokens),
            ("output_tokens", "Tokens written.", counters.output_tokens),
            ("drafted_tokens", "Tokens guessed by prompt lookup.", counters.drafted),
            ("accepted_tokens", "Guessed tokens that held; each saved a pass.", counters.accepted),
            ("drafted_passes", "Passes that checked a draft.", counters.drafted_passes),
            ("batched_passes", "Passes over several samples.", counters.batched_passes),
            ("replayed_passes", "Passes started as one launch.", counters.replayed_passes),
            ("merged_rows", "Rows not computed, since another had the same text.", counters.merged),
        ):
            yield CounterMetricFamily(f"backtrail_{name}", said, value=value)


def text(registry: CollectorRegistry) -> bytes:
    """The text form of all figures of a registry."""
    return generate_latest(registry)
