"""A token bucket: so many a second, and a burst."""

_ROUNDING = 1e-6  # tokens; what floats lose between two times


class TokenBucket:
    """Allows `rate` a second on average and `burst` at once."""

    def __init__(self, *, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def spend(self, count: int, now: float) -> bool:
        """Take tokens; false if there were not enough."""
        filled = self._tokens + (now - self._at) * self._rate
        self._tokens = min(self._burst, filled) - count
        self._at = now
        return self._tokens >= 0

    def take(self, count: int, now: float, *, shares: int = 1) -> float:
        """Take tokens, all or none; return 0, or the seconds until they are there.

        More than the burst may be taken from a full bucket, which then owes them:
        otherwise a large batch could wait for ever.

        Args:
            count: How many.
            now: The time.
            shares: How many buckets like this one share the rate and the burst.
        """
        rate, burst = self._rate / shares, self._burst / shares
        self._tokens = min(burst, self._tokens + (now - self._at) * rate)
        self._at = now
        lacking = min(count, burst) - self._tokens
        if lacking > _ROUNDING:
            return lacking / rate
        self._tokens -= count
        return 0.0
