"""What everything stood at over the last day, for charts.

Every node tries; whoever is first when a sample is due takes it, for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

KEPT_SECONDS = 86_400.0
MAX_POINTS = 360
# Of the time of one connection: a log so large that a sample is slow is sampled rarely.
_SHARE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Counts of all events at a time (`at`, seconds since 1970, by the database).

    They add up: published = confirmed + dead + expired + discarded + redriven + open.
    `failed_attempts` and the confirmation latency, in seconds, are of the time since
    the sample before; None: nothing was confirmed.
    """

    at: float
    published: int
    confirmed: int
    dead: int
    expired: int
    discarded: int
    redriven: int
    open: int
    oldest_open_seconds: float
    sessions: int
    failed_attempts: int
    p50: float | None
    p99: float | None


class SampleStore(Protocol):
    """Where samples are kept. Raises `UnavailableError` when it is away."""

    async def take(
        self, *, every_seconds: float, share: float, kept_seconds: float
    ) -> bool:
        """Take a sample if it is due and no other node is at it.

        The next is due after `every_seconds`, or later so that taking samples needs
        at most this share of the time. Forgets what is older than `kept_seconds`.
        """
        ...

    async def page(self, *, within_seconds: float, points: int) -> Sequence[Sample]:
        """Return what was sampled lately, oldest first, in at most so many points.

        A point may stand for several samples: the last totals, the largest backlog,
        the sum of failed attempts, the middle p50 and the worst p99 of them.
        """
        ...


class Sampler:
    """Takes samples as long as any node runs.

    Args:
        store: See there.
        every_seconds: How long from one sample to the next.
    """

    def __init__(self, store: SampleStore, *, every_seconds: float) -> None:
        self.store = store
        self._every_seconds = every_seconds

    async def step(self) -> None:
        """Take a sample if it is due; call several times in `every_seconds`."""
        await self.store.take(
            every_seconds=self._every_seconds, share=_SHARE, kept_seconds=KEPT_SECONDS
        )
