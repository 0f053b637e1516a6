"""Counters and histograms under their contract names, on a registry of their own."""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from service.contract import Metric as Name

_LATENCY_BUCKETS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300,
    3600, 86400,
)  # fmt: skip
_GROUP_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class WeightedHistogram(Collector):
    """A histogram whose observations may count for many events at once.

    One settlement covers a range; observing it event by event would cost more than
    the rest of the confirmation.
    """

    def __init__(self, name: str, text: str, buckets: Sequence[float]) -> None:
        self._name = name
        self._text = text
        self._bounds = tuple(buckets)
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0

    def observe(self, value: float, count: int = 1) -> None:
        """Count `count` events with this value."""
        self._counts[bisect_left(self._bounds, value)] += count
        self._sum += value * count

    def collect(self) -> Iterator[Metric]:
        """Yield the histogram as the registry wants it."""
        bounds = [*map(str, self._bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(
            self._name, self._text, buckets=buckets, sum_value=self._sum
        )


class Metrics:
    """Everything the service counts; one object per process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._published = self._counter(
            Name.PUBLISHED, "Events stored, by priority.", ["priority"]
        )
        self._deduplicated = self._counter(
            Name.PUBLISH_DEDUPLICATED, "Publishes answered with an earlier receipt."
        )
        self._rejected = self._counter(
            Name.PUBLISH_REJECTED, "Publishes refused, by error code.", ["code"]
        )
        self._settled = self._counter(
            Name.SETTLED, "Events settled, by outcome.", ["outcome"]
        )
        self.redelivered = 0  # for the demo's final line
        self._redeliveries = self._counter(
            Name.REDELIVERIES, "Events written to a socket again after a failure."
        )
        self._failed_attempts = self._counter(
            Name.FAILED_ATTEMPTS, "Attempts that failed, by kind.", ["reason"]
        )
        self.ephemeral_sent = self._counter(
            Name.EPHEMERAL_SENT, "Ephemeral events written to a socket."
        )
        self.ephemeral_dropped = self._counter(
            Name.EPHEMERAL_DROPPED, "Ephemeral events dropped for a slow socket."
        )
        self.sweep_recovered = self._counter(
            Name.SWEEP_RECOVERED, "Sessions the sweep found behind; about 0."
        )
        self._opened = self._counter(
            Name.SESSIONS_OPENED, "Sessions welcomed, by kind of resume.", ["resume"]
        )
        self._closed = self._counter(
            Name.SESSIONS_CLOSED, "Sessions ended, by close code.", ["code"]
        )
        self._ack_rejected = self._counter(
            Name.ACK_REJECTED, "Acks refused, by error code.", ["code"]
        )
        self._database_retries = self._counter(
            Name.DATABASE_RETRIES, "Repeated database work, by reason.", ["reason"]
        )
        self.sessions = Gauge(
            Name.SESSIONS, "Live sessions on this node.", registry=self.registry
        )
        self._groups = Histogram(
            Name.COMMIT_GROUP_EVENTS,
            "Events per publish commit.",
            buckets=_GROUP_BUCKETS,
            registry=self.registry,
        )
        self._latency = WeightedHistogram(
            Name.CONFIRMATION_LATENCY,
            "Acceptance to confirmation; each event of a settlement counts with the "
            "age of its oldest.",
            _LATENCY_BUCKETS,
        )
        self.registry.register(self._latency)

    def committed(self, priorities: Iterable[str], *, repeats: int) -> None:
        """Count one publish commit: the priorities of what is new, and repeats."""
        new = Tally(priorities)
        for priority, count in new.items():
            self._published.labels(priority).inc(count)
        self._groups.observe(new.total() + repeats)
        self._deduplicated.inc(repeats)

    def settled(self, outcome: str, count: int, latency_seconds: float | None) -> None:
        """Count the events of one settlement."""
        self._settled.labels(outcome).inc(count)
        if outcome == "confirmed" and latency_seconds is not None:
            self._latency.observe(latency_seconds, count)

    def rejected(self, code: str) -> None:
        """Count a refused publish."""
        self._rejected.labels(code).inc()

    def redelivery(self) -> None:
        """Count an event that was written to a socket again."""
        self.redelivered += 1
        self._redeliveries.inc()

    def failed_attempt(self, reason: str) -> None:
        """Count a failed attempt by kind; clients' own words are not a label."""
        self._failed_attempts.labels(reason).inc()

    def session_opened(self, resume: str) -> None:
        """Count a welcome."""
        self._opened.labels(resume).inc()

    def session_closed(self, code: int) -> None:
        """Count the end of a session."""
        self._closed.labels(str(code)).inc()

    def ack_rejected(self, code: str) -> None:
        """Count a refused ack."""
        self._ack_rejected.labels(code).inc()

    def database_retry(self, reason: str) -> None:
        """Count repeated database work."""
        self._database_retries.labels(reason).inc()

    def _counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(
            name.removesuffix("_total"), text, labels, registry=self.registry
        )
