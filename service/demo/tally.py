"""Counts what becomes of the events of one run of the program."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from service.app.tracker import EventDeliveryTracker
from service.core.delivery import Outcome
from service.core.event import StoredEvent
from service.core.settlement import Settled


@dataclass(slots=True)
class Tally:
    """Follows one user's events from their commit to their confirmation's commit."""

    user_id: str
    monotonic: Callable[[], float]
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    published: int = 0
    latencies_seconds: list[float] = field(default_factory=list)
    _committed_at: dict[int, float] = field(default_factory=dict)

    def follow(self, tracker: EventDeliveryTracker) -> None:
        """Hear of every commit from now on."""
        tracker.callbacks.committed.append(self._committed)
        tracker.callbacks.settled.append(self._settled)

    @property
    def open(self) -> int:
        """How many events of this run are not settled yet."""
        return len(self._committed_at)

    @property
    def confirmed(self) -> int:
        """How many events of this run are confirmed."""
        return len(self.latencies_seconds)

    def percentiles_ms(self) -> tuple[float, float, float]:
        """Return p50, p95, p99 of commit to confirmation, in milliseconds."""
        if len(self.latencies_seconds) < 2:
            return (0.0, 0.0, 0.0)
        cuts = statistics.quantiles(self.latencies_seconds, n=100, method="inclusive")
        return (cuts[49] * 1e3, cuts[94] * 1e3, cuts[98] * 1e3)

    def _committed(self, events: Sequence[StoredEvent]) -> None:
        now = self.monotonic()
        for event in events:
            if event.user_id == self.user_id:
                self.published += 1
                self._committed_at[event.seq] = now

    def _settled(self, facts: Sequence[Settled]) -> None:
        now = self.monotonic()
        for fact in facts:
            if fact.user_id != self.user_id:
                continue
            for seq in range(fact.from_seq, fact.to_seq + 1):
                at = self._committed_at.pop(seq, None)
                if at is None:
                    continue  # an event of an earlier run
                self.outcomes[fact.outcome] = self.outcomes.get(fact.outcome, 0) + 1
                if fact.outcome is Outcome.CONFIRMED:
                    self.latencies_seconds.append(now - at)
