"""What the application needs from outside: the event store, secrets, the clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from service.core.delivery import Failures, Outcome
from service.core.event import Batch, BatchResult, StoredEvent
from service.core.log import LogEntry, Page
from service.core.resume import Stream
from service.core.settlement import Settled, Settlement


class Clock(Protocol):
    """Time, so that nothing inside reads it by itself."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def wall(self) -> float:
        """Seconds since 1970."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """One failed attempt on record."""

    attempt: int
    reason: str
    device_id: str | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRecord:
    """What settled one event, when, and by whom."""

    outcome: Outcome
    device_id: str | None
    sent_at: float | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRow:
    """Where an event was before it was redriven, and what became of it there."""

    seq: int
    redrive: int
    accepted_at: float
    outcome: Outcome | None  # None: its settlement was pruned
    settled_at: float | None
    failures: Sequence[FailedAttempt]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """An event of a user's history and its outcome (None: open)."""

    event: StoredEvent
    outcome: Outcome | None
    settled_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSummary:
    """A stream as the console lists it."""

    user_id: str
    head_seq: int
    settled_seq: int
    open: int
    oldest_open_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Events by outcome. They reconcile: see `unexplained`."""

    published: int
    confirmed: int
    dead: int
    expired: int
    discarded: int
    redriven: int
    open: int
    failed_attempts: int

    @property
    def unexplained(self) -> int:
        """Published events that are neither settled nor open; always 0."""
        settled = (
            self.confirmed + self.dead + self.expired + self.discarded + self.redriven
        )
        return self.published - settled - self.open


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Confirmation latency over recent events, in seconds (None without events)."""

    events: int
    p50: float | None
    p95: float | None
    p99: float | None


class PageRequest(NamedTuple):
    """One request for a page; see `EventStore.page`."""

    user_id: str
    after: int
    max_events: int
    max_bytes: int


class EventStore(Protocol):
    """The truth. Every method raises `UnavailableError` when it is away."""

    async def publish(self, batches: Sequence[Batch]) -> Sequence[BatchResult]:
        """Store durable events, in order per user, and return after the commit.

        The same id with the same body is answered with the first receipt; with
        another body its whole batch is refused.
        """
        ...

    async def settle(self, wishes: Sequence[Settlement]) -> Sequence[Settled]:
        """Settle what is still open among ranges that are disjoint per user."""
        ...

    async def bury(self, user_id: str, seq: int, reason: str) -> Sequence[Settled]:
        """Settle one seq as dead and keep its dead letter, or neither."""
        ...

    async def record_failure(
        self, user_id: str, seq: int, attempt: int, reason: str, device_id: str | None
    ) -> Failures:
        """Record a failed attempt if it is the next one and not before its turn."""
        ...

    async def find_stream(self, user_id: str) -> Stream | None:
        """Return a user's stream, if there is one; asking makes none."""
        ...

    async def open_stream(self, user_id: str) -> Stream:
        """Return a user's stream; a new one if there is none."""
        ...

    async def change_epoch(self, user_id: str, epoch: str) -> Stream:
        """Give a stream a new epoch if it still has this one."""
        ...

    async def page(
        self, user_id: str, after: int, max_events: int, max_bytes: int
    ) -> Page:
        """Read the log after a seq."""
        ...

    async def pages(self, requests: Sequence[PageRequest]) -> Sequence[Page]:
        """Answer many requests at once, each as `page` does, in their order."""
        ...

    async def entry(self, user_id: str, seq: int) -> LogEntry | None:
        """Read one event of the log; None when it was pruned."""
        ...

    async def history(
        self, user_id: str, after: int, limit: int, *, open_only: bool = False
    ) -> Sequence[HistoryEntry]:
        """Return events of a user after a seq, with their outcomes."""
        ...

    async def heads(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the newest seq of each user that has a stream."""
        ...

    async def find(self, event_id: str, user_id: str | None) -> Sequence[StoredEvent]:
        """Return the events with an id: one per user who was sent it."""
        ...

    async def settlement(self, user_id: str, seq: int) -> SettlementRecord | None:
        """Return what settled a seq."""
        ...

    async def outcomes(
        self, keys: Sequence[tuple[str, int]]
    ) -> Mapping[tuple[str, int], Outcome]:
        """Return the outcomes of those (user, seq) that are settled."""
        ...

    async def settled_among(
        self, ranges: Sequence[tuple[str, int, int]]
    ) -> Sequence[Settled]:
        """Return what is settled in ranges (user, first, last) that were open.

        Cheap where nothing is. Their latency is not told.
        """
        ...

    async def attempts(self, user_id: str, seq: int) -> Sequence[FailedAttempt]:
        """Return the failed attempts of an event."""
        ...

    async def earlier(self, event_id: str, user_id: str) -> Sequence[EarlierRow]:
        """Return where an event was before it was redriven, oldest first."""
        ...

    async def counts(self) -> Counts:
        """Count all events by outcome."""
        ...

    async def streams(self, limit: int) -> Sequence[StreamSummary]:
        """Return the streams with the most open events."""
        ...

    async def latency(self, *, within_seconds: float, settlements: int) -> Latency:
        """Return the confirmation latency over recent settlements."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a single-use secret stands for.

    Attributes:
        subject, scopes: Whose it is, and what it allows.
        until: The end of the token it was bought with; None: no end.
        origin: Where it was bought, if in a browser.
        issued_at: When that token, or the code itself, was made.
        key_id: Which key signed that token; None: the service's own secret.
    """

    subject: str
    scopes: frozenset[str]
    until: float | None
    origin: str | None = None
    issued_at: float | None = None
    key_id: str | None = None


class SecretStore(Protocol):
    """Single-use secrets: tickets for sockets, codes for pages."""

    async def put(
        self, secret: str, *, kind: str, grant: Grant, valid_seconds: float
    ) -> None:
        """Keep a secret (its digest only)."""
        ...

    async def take(self, secret: str, *, kind: str) -> Grant | None:
        """Use a secret up; None if unknown, used or too old."""
        ...
