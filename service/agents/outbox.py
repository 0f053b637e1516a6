"""The bounded, ordered buffer of events that are not accepted yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.core.draft import Draft
from service.core.event import EventType, Priority, default_priority

MAX_WAITING_EVENTS = 2_000
MAX_WAITING_BYTES = 16 * 1024 * 1024

_ENDS = frozenset({EventType.AGENT_COMPLETED, EventType.AGENT_ERROR})
_RANKS: Mapping[str, int] = {
    Priority.LOW: 0,
    Priority.NORMAL: 1,
    Priority.HIGH: 2,
    Priority.CRITICAL: 2,
}
_RANK_OF_END = 3  # without its end, a run seems to go on for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One event on its way; its event_id stays, however often it is sent."""

    draft: Draft
    size_bytes: int

    @property
    def rank(self) -> int:
        """How much is lost without it."""
        if self.draft.type in _ENDS:
            return _RANK_OF_END
        priority = self.draft.priority or default_priority(self.draft.type)
        return _RANKS.get(priority, 1)  # an unknown one will be refused, by name

    @property
    def ephemeral(self) -> bool:
        """Whether it is worth nothing later."""
        return self.rank == 0


class Outbox:
    """Events in the order of the agent's calls, until each is accepted or refused.

    When it is full, `put` says which events had to go: of those waiting and the new
    one, the least important; among equals the newest, so that what stays is the
    story's beginning without holes, and its end.
    """

    def __init__(
        self,
        *,
        max_events: int = MAX_WAITING_EVENTS,
        max_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._waiting: list[Waiting] = []
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: Waiting) -> Sequence[Waiting]:
        """Append the event; return what had to go, possibly the event itself."""
        self._waiting.append(event)
        self._bytes += event.size_bytes
        gone: list[Waiting] = []
        while self._over():
            gone.append(self._least_important())
            self.remove(gone[-1:])
        return gone

    def head(self, count: int) -> Sequence[Waiting]:
        """Return the oldest events, at most `count`."""
        return self._waiting[:count]

    def remove(self, events: Sequence[Waiting]) -> None:
        """Forget events that are accepted, refused or dropped."""
        ids = {event.draft.event_id for event in events}
        self._waiting = [w for w in self._waiting if w.draft.event_id not in ids]
        self._bytes = sum(waiting.size_bytes for waiting in self._waiting)

    def drop_ephemeral(self) -> Sequence[Waiting]:
        """Forget what is worth nothing later; return it."""
        gone = [waiting for waiting in self._waiting if waiting.ephemeral]
        self.remove(gone)
        return gone

    def _over(self) -> bool:
        return len(self._waiting) > self._max_events or self._bytes > self._max_bytes

    def _least_important(self) -> Waiting:
        return min(reversed(self._waiting), key=lambda waiting: waiting.rank)
