"""How much each publisher may publish."""

import math
from collections import OrderedDict
from collections.abc import Callable

from service.core.rate import TokenBucket
from service.errors import QuotaExceededError

MAX_PUBLISHERS = 10_000  # with a bucket of their own


class PublishQuota:
    """A token bucket for each publisher, by the `sub` of its token.

    Each process has its share: rate and burst divided by the number of nodes. Memory
    is bounded: the publisher that was quiet for the longest time gives its bucket up,
    and finds a full one when it is back.

    Args:
        rate: Events a second.
        burst: Events at once.
        nodes: How many processes share them, as far as known.
        max_publishers: How many buckets are kept.
    """

    def __init__(
        self,
        *,
        rate: float,
        burst: int,
        nodes: Callable[[], int] = lambda: 1,
        max_publishers: int = MAX_PUBLISHERS,
    ) -> None:
        self._nodes = nodes
        self._rate = rate
        self._burst = burst
        self._max_publishers = max_publishers
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def spend(self, publisher: str, events: int, now: float) -> None:
        """Count a batch that is about to be published.

        Raises:
            QuotaExceededError: it is over the quota, and was not counted; says when
                it will not be.
        """
        bucket = self._bucket(publisher, now)
        wait_seconds = bucket.take(events, now, shares=self._nodes())
        if wait_seconds > 0:
            raise QuotaExceededError(
                f"quota: {self._rate:g} events a second, {self._burst} at once",
                retry_after_seconds=math.ceil(wait_seconds),
            )

    def _bucket(self, publisher: str, now: float) -> TokenBucket:
        bucket = self._buckets.get(publisher)
        if bucket is None:
            bucket = TokenBucket(rate=self._rate, burst=self._burst, now=now)
            self._buckets[publisher] = bucket
            if len(self._buckets) > self._max_publishers:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(publisher)
        return bucket
