"""What metrics are made of: counters, gauges and histograms of one registry.

In a worker process the library keeps the values in files that the supervisor joins
(`service.observe.joined`); nothing here knows the difference.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Joined = Literal["livesum", "livemax"]


class WeightedHistogram(Histogram):
    """A histogram whose observations may count for many events at once.

    One settlement covers a range; observing it event by event would cost more than
    the rest of the confirmation.
    """

    def observe_many(self, value: float, count: int) -> None:
        """Count `count` events with this value."""
        self._sum.inc(value * count)
        self._buckets[bisect_left(self._upper_bounds, value)].inc(count)


class Instruments:
    """Makes instruments under their contract names, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def counter(
        self, name: str, text: str, *labels: str, known: Sequence[str] = ()
    ) -> Counter:
        """Return a new counter; its contract name ends in `_total`.

        What counts under the `known` values of its one label is shown from the start:
        a series that begins with its first count has not risen, for Prometheus.
        """
        made = Counter(
            name.removesuffix("_total"), text, labels, registry=self.registry
        )
        for value in known:
            made.labels(value)
        return made

    def gauge(
        self, name: str, text: str, *labels: str, joined: Joined = "livesum"
    ) -> Gauge:
        """Return a new gauge; `joined` is how the live workers' values become one."""
        return Gauge(
            name, text, labels, registry=self.registry, multiprocess_mode=joined
        )

    def histogram(
        self, name: str, text: str, buckets: Sequence[float], *labels: str
    ) -> WeightedHistogram:
        """Return a new histogram."""
        return WeightedHistogram(
            name, text, labels, buckets=buckets, registry=self.registry
        )
