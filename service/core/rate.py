"""A token bucket: so many a second, and a burst."""


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
