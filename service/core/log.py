"""The log of events, as a session reads it."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.core.delivery import Outcome
from service.core.event import StoredEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One event as the log has it at the time of reading.

    Args:
        event: The event.
        outcome: Its settlement, or None while it is open.
        failures: How many attempts failed so far.
        overdue: Open, but past its expiry.
    """

    event: StoredEvent
    outcome: Outcome | None = None
    failures: int = 0
    overdue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A piece of the log, in order of seq. Seqs it skips were pruned.

    `head_seq` is the stream's newest seq when the page was read.
    """

    entries: Sequence[LogEntry]
    head_seq: int
