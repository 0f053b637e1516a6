"""Values of delivery: what a publisher gives, what the log holds, what comes back."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias

import msgspec

from service.errors import EventConflictError

MAX_EVENT_BYTES = 256 * 1024
MAX_BATCH_EVENTS = 1_000
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_DATA_DEPTH = 64
MAX_NAME_CHARS = 128


class Priority(StrEnum):
    """How much an event matters; sets its ack wait, budget and expiry."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"  # ephemeral: never stored, no seq, at most once


class EventType(StrEnum):
    """The types agents emit; publishers may use their own beside them."""

    AGENT_STARTED = "agent_started"
    AGENT_THINKING = "agent_thinking"
    TOOL_EXECUTING = "tool_executing"
    TOOL_COMPLETED = "tool_completed"
    AGENT_COMPLETED = "agent_completed"
    AGENT_ERROR = "agent_error"
    PROGRESS = "progress"
    TOKEN_DELTA = "token_delta"  # noqa: S105 -- a piece of text, not a secret
    DEBUG = "debug"
    METRICS = "metrics"


_PRIORITY_OF_TYPE: dict[str, Priority] = {
    EventType.TOOL_EXECUTING: Priority.CRITICAL,
    EventType.TOOL_COMPLETED: Priority.CRITICAL,
    EventType.AGENT_STARTED: Priority.HIGH,
    EventType.AGENT_COMPLETED: Priority.HIGH,
    EventType.AGENT_ERROR: Priority.HIGH,
    EventType.TOKEN_DELTA: Priority.LOW,
    EventType.DEBUG: Priority.LOW,
    EventType.METRICS: Priority.LOW,
}


def default_priority(event_type: str) -> Priority:
    """Return the priority of a type whose publisher set none (unknown: normal)."""
    return _PRIORITY_OF_TYPE.get(event_type, Priority.NORMAL)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A valid event on its way in. Made by `new_event`, never by hand.

    `data` is JSON text in UTF-8, kept byte for byte as the publisher gave it.
    """

    event_id: str
    user_id: str
    type: str
    priority: Priority
    data: bytes
    run_id: str | None = None
    thread_id: str | None = None
    trace: str | None = None
    expires_in_seconds: float

    @property
    def ephemeral(self) -> bool:
        """Whether the event is never stored."""
        return self.priority is Priority.LOW


class Receipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Proof that an event is stored (or, for an ephemeral one, that it was passed on).

    `repeat` is true when the same event had been accepted before.
    `seq` and `epoch` are None for ephemeral events.
    """

    event_id: str
    user_id: str
    seq: int | None
    epoch: str | None
    accepted_at: float
    repeat: bool = False


# A batch is stored whole or not at all: a conflict in it stores nothing of it.
Batch: TypeAlias = Sequence[Event]
BatchResult: TypeAlias = Sequence[Receipt] | EventConflictError


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event as the log holds it. `accepted_at`, `expires_at`: seconds since 1970."""

    user_id: str
    seq: int
    event_id: str
    type: str
    priority: Priority
    run_id: str | None
    thread_id: str | None
    data: bytes
    trace: str | None
    accepted_at: float
    expires_at: float
    redrive: int = 0
