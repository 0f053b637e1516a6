"""The redelivery schedule: 1, 2, 4, 8 seconds, each ±20 %."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a failed attempt is followed by the next.

    Args:
        delays_seconds: The wait after failed attempt 1, 2, …; one more attempt than
            delays makes the budget.
        jitter: The share by which a wait may be shorter or longer (0 to 1).
    """

    delays_seconds: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    jitter: float = 0.2

    @property
    def budget(self) -> int:
        """How many attempts an event has in all."""
        return len(self.delays_seconds) + 1

    def delay_seconds(self, failures: int, *, u: float) -> float:
        """Return the wait after the given number of failed attempts.

        Args:
            failures: Failed attempts so far, from 1 to the budget minus one.
            u: Evenly distributed in [0, 1); randomness is the caller's.
        """
        base = self.delays_seconds[failures - 1]
        return base * (1 - self.jitter + 2 * self.jitter * u)

    def earliest_seconds(self, failures: int) -> float:
        """Return how soon after the last failure another one may count.

        Before the first failure, and after the last delay, at once.
        """
        if not 1 <= failures <= len(self.delays_seconds):
            return 0.0
        return self.delays_seconds[failures - 1] * (1 - self.jitter)
